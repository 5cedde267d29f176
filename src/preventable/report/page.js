"use strict";
(() => {
  const root = document.documentElement;
  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const draw = () => {
    const config = {
      background: "transparent",
      font: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
      axis: { labelColor: style("--ink"), titleColor: style("--soft"), gridColor: style("--grid"),
              domainColor: style("--line"), tickColor: style("--line"), labelFontSize: 12, titleFontSize: 12,
              titleFontWeight: "normal" },
      legend: { labelColor: style("--ink"), titleColor: style("--soft"), labelFontSize: 12, labelLimit: 240 },
      title: { color: style("--ink") }, rule: { color: style("--ink") }, text: { color: style("--ink") }, view: { stroke: null },
    };
    const waiting = [...document.querySelectorAll("[data-chart]")].map((box) => {
      const spec = JSON.parse(document.getElementById("chart-" + box.dataset.chart).textContent);
      return vegaEmbed(box, spec, { actions: false, renderer: "svg", config, tooltip: { theme: dark() ? "dark" : "light" } });
    });
    Promise.all(waiting).then(() => { root.dataset.charts = "drawn"; })
      .catch((error) => { root.dataset.charts = "failed"; console.error(error); });
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    draw();
  });
  system.addEventListener("change", draw);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

  const value = (row, i) => row.cells[i].dataset.value ?? row.cells[i].textContent;
  document.querySelectorAll("table.sortable th button").forEach((button) => {
    button.addEventListener("click", () => {
      const th = button.parentElement, table = th.closest("table"), body = table.tBodies[0];
      const index = th.cellIndex, up = th.getAttribute("aria-sort") !== "ascending";
      const numeric = th.classList.contains("n");
      [...th.parentElement.cells].forEach((c) => c.removeAttribute("aria-sort"));
      th.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.rows].sort((a, b) => {
        const x = value(a, index), y = value(b, index);
        const known = (x === "") - (y === "");
        if (known) return known;
        const order = numeric ? Number(x) - Number(y) : x.localeCompare(y, "en", { numeric: true });
        return up ? order : -order;
      });
      body.append(...rows);
    });
  });

  const holder = document.getElementById("record-data");
  if (holder) {
    const data = JSON.parse(holder.textContent), size = 100;
    const body = document.querySelector("#record-table tbody");
    const found = document.getElementById("found");
    let hits = data.rows, start = 0;
    const show = () => {
      body.replaceChildren(...hits.slice(start, start + size).map((row) => {
        const tr = document.createElement("tr");
        const counted = data.definitions.filter((_, i) => row[6] & (1 << i)).join(", ");
        [row[0], row[1], row[2], data.components[row[3]], data.classes[row[4]], data.sources[row[5]], counted]
          .forEach((text) => { const td = document.createElement("td"); td.textContent = text ?? "–"; tr.append(td); });
        return tr;
      }));
      const end = Math.min(start + size, hits.length);
      found.textContent = hits.length ? `${start + 1}–${end} of ${hits.length.toLocaleString("en")}` : "no record";
    };
    document.getElementById("find").addEventListener("input", (event) => {
      const wanted = event.target.value.trim().toLowerCase();
      hits = wanted ? data.rows.filter((r) => r[0].toLowerCase().includes(wanted) ||
        data.components[r[3]].toLowerCase().includes(wanted) || data.classes[r[4]].includes(wanted)) : data.rows;
      start = 0;
      show();
    });
    document.getElementById("more").addEventListener("click", () => { if (start + size < hits.length) { start += size; show(); } });
    document.getElementById("less").addEventListener("click", () => { start = Math.max(0, start - size); show(); });
    show();
  }
  draw();
})();
