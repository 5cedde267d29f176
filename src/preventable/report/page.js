"use strict";
(() => {
  const root = document.documentElement;
  const style = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const darker = JSON.parse(document.getElementById("dark-colours").textContent);

  // A specification with the colours of the dark page; the data in it stays as it is.
  const repaint = (node) => {
    if (typeof node === "string") return Object.hasOwn(darker, node) ? darker[node] : node;
    if (Array.isArray(node)) return node.map(repaint);
    if (node === null || typeof node !== "object") return node;
    return Object.fromEntries(Object.entries(node).map(([key, inner]) =>
      [key, key === "values" || key === "datasets" ? inner : repaint(inner)]));
  };

  const layersOf = (spec) => [spec, ...(spec.layer ?? []).flatMap(layersOf)];
  const named = (field) => field && (field.type === "nominal" || field.type === "ordinal") && field.axis !== null;

  // A title as lines that fit a narrow plot.
  const folded = (title) => typeof title !== "string" ? title : title.split(" ").reduce((lines, word) => {
    const longer = lines.length ? `${lines.at(-1)} ${word}` : word;
    return longer.length > 40 || !lines.length ? [...lines, word] : [...lines.slice(0, -1), longer];
  }, []);

  // For a narrow screen: names of rows above their marks instead of left of them, legends in two columns.
  const narrowed = (spec) => {
    const layers = layersOf(spec);
    const drawnAs = (...types) => layers.some((l) => types.includes(l.mark?.type ?? l.mark));
    const bars = drawnAs("bar");
    const kept = drawnAs("rect", "text") || layers.some((l) => l.encoding?.yOffset) || typeof spec.height === "number";
    const offset = (l) => l.mark?.yOffset;
    const top = Math.max(0, ...layers.map((l) => -(offset(l) ?? 0)));
    const step = !kept && layers.some((l) => named(l.encoding?.y)) ? spec.height?.step ?? 20 : undefined;
    if (step) {
      const wider = step + (bars ? 18 : 10), above = (bars ? 0.4 * step : top + 5) + 9;
      spec.height = { step: wider };
      // What lies alone in the middle of its row moves up to where the first of several marks lies, below its name.
      layers.filter((l) => top && l.mark && offset(l) === undefined).forEach((l) => {
        l.mark = { ...(typeof l.mark === "string" ? { type: l.mark } : l.mark), yOffset: -top };
      });
      layers.forEach((l) => {
        if (named(l.encoding?.y)) {
          l.encoding.y.axis = { ...l.encoding.y.axis, labelAlign: "left", labelBaseline: "middle", labelOffset: -above,
                                labelPadding: 0, labelLimit: 300, ticks: false, domain: false, zindex: 1 };
        }
        if ((l.mark?.type ?? l.mark) === "bar") {
          l.mark = { ...(typeof l.mark === "string" ? { type: l.mark } : l.mark), height: { band: 0.8 * step / wider } };
        }
      });
    }
    layers.forEach((l) => {
      if (!step && named(l.encoding?.y)) l.encoding.y.axis = { ...l.encoding.y.axis, labelLimit: 120 };
      Object.values(l.encoding ?? {}).forEach((field) => { if (field?.legend) field.legend.columns = 2; });
      const x = l.encoding?.x;
      if (x?.title) x.title = folded(x.title);
      if (x?.axis?.title) x.axis.title = folded(x.axis.title);
    });
    return spec;
  };

  const draw = () => {
    const narrow = small.matches;
    const config = {
      background: "transparent",
      font: "system-ui, -apple-system, 'Segoe UI', Roboto, Arial, sans-serif",
      axis: { labelColor: style("--ink"), titleColor: style("--soft"), gridColor: style("--grid"),
              domainColor: style("--line"), tickColor: style("--line"), labelFontSize: 12, titleFontSize: 12,
              titleFontWeight: "normal" },
      axisX: { labelSeparation: 6 },
      legend: { labelColor: style("--ink"), titleColor: style("--soft"), labelFontSize: 12, labelLimit: 240,
                symbolOpacity: 1, ...(narrow ? { orient: "top", columns: 2 } : {}) },
      header: { labelColor: style("--ink"), titleColor: style("--soft") },
      title: { color: style("--ink") }, rule: { color: style("--ink") }, text: { color: style("--ink") }, view: { stroke: null },
    };
    const waiting = [...document.querySelectorAll("[data-chart]")].map((box) => {
      let spec = JSON.parse(document.getElementById("chart-" + box.dataset.chart).textContent);
      if (dark()) spec = repaint(spec);
      if (narrow) spec = narrowed(spec);
      return vegaEmbed(box, spec, { actions: false, renderer: "svg", config, tooltip: { theme: dark() ? "dark" : "light" } });
    });
    Promise.all(waiting).then(() => { root.dataset.charts = "drawn"; })
      .catch((error) => { root.dataset.charts = "failed"; console.error(error); });
  };
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const small = matchMedia("(max-width: 640px)");
  document.getElementById("theme").addEventListener("click", () => {
    root.dataset.theme = dark() ? "light" : "dark";
    draw();
  });
  system.addEventListener("change", draw);
  small.addEventListener("change", draw);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));

  const measure = (box) => box.classList.toggle("beyond", box.scrollWidth > box.clientWidth + 1);
  const sizes = new ResizeObserver((seen) => seen.forEach((entry) => measure(entry.target)));
  document.querySelectorAll(".scroll").forEach((box) => sizes.observe(box));

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
