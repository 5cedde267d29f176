"""The ``preventable`` command: finds subcommands lazily and turns errors into messages and exit statuses.

Exit status: 0 done and clean, 1 findings or a partial result, 2 usage, 3 nothing usable, 4 a bug,
130 interrupted.
"""

from __future__ import annotations

import difflib
import importlib
import os
import signal
import sys
import threading
from typing import Any, NoReturn

import click

from preventable.errors import PreventableError
from preventable.plain_text import printable
from preventable.termination import Terminated, arrived
from preventable.version import __version__

COMMANDS: dict[str, tuple[str, str]] = {
    # name: (module inside preventable.cli, one-line help; the module is imported only when it is called)
    "demo": ("demo", "report on Linux from the embedded facts"),
    "assess": ("assess", "turn vulnerability records into a report on what was preventable"),
    "share": ("share", "share of records that is memory safety, under every definition"),
    "explain": ("explain", "one record: its labels and why, and what would touch it"),
    "label": ("label", "a class for every record of a file, with reasons"),
    "audit": ("audit", "two readings of a random sample, and how far they agree"),
    "train": ("train", "learn the text model again from labelled records"),
    "list": ("listing", "readers, methodologies, interventions, classes, with sources"),
    "facts": ("facts", "keep facts without prose; how the embedded case was made"),
    "census": ("census", "count what is there: lines, unsafe Rust, coupling; compare two trees"),
    "gate": ("gate", "hold the line: no new C or unsafe where the case file says so"),
    "compare": ("compare", "does the newcomer hold up: rates by language, their ratio, counterparts"),
    "lifetimes": ("lifetimes", "how long faults live, corrected for what the data cannot show"),
    "claims": ("claims", "claims written down before the data, tested so that one may look every day"),
    "lineage": ("lineage", "how old the code is: surviving lines by cohort, survival, churn"),
    "origin": ("origin", "which commits may have brought each fault, with weights and reasons"),
    "contributors": ("contributors", "who keeps the code: active, new and leaving authors, in counts"),
    "ports": ("ports", "which platforms lose what when a package starts to need a toolchain"),
}


class _ReaderGone(Exception):
    """Whoever read our output closed it (``| head``). No ``OSError``, for click would end with status 1."""


class LazyGroup(click.Group):
    """A group whose commands are imported when they are used, so that ``--help`` stays fast."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as error:
            raise _ReaderGone from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"preventable.cli.{COMMANDS[cmd_name][0]}")
        if hasattr(signal, "siginterrupt") and threading.current_thread() is threading.main_thread():
            # Polars handles Ctrl-C by itself and lets a blocked read go on; a read of a pipe must end.
            signal.siginterrupt(signal.SIGINT, True)
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and (close := difflib.get_close_matches(args[0], COMMANDS, 1)):
            ctx.fail(f"No such command {args[0]!r}. Did you mean {close[0]!r}?")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not COMMANDS:
            return
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_line) for name, (_, help_line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", prog_name="preventable")
def preventable() -> None:
    """How much of a code base's vulnerabilities was structurally preventable, from data anyone can re-check.

    Example: preventable demo --out report
    """


def main() -> NoReturn:
    """Run the command line; never lets a traceback reach a user unless PREVENTABLE_DEBUG is set."""
    _end_in_order_on_sigterm()
    try:
        status = preventable.main(standalone_mode=False)
    except Terminated:
        _say("terminated; nothing was left half-written")
        sys.exit(143)
    except click.exceptions.Abort:
        _say("interrupted; nothing was left half-written")
        sys.exit(130)
    except KeyboardInterrupt:
        _say("interrupted; nothing was left half-written")
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except PreventableError as error:
        _say(f"error: {error}")
        sys.exit(error.exit_status)
    except _ReaderGone:
        # Not an error, and nothing more to say.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _say(f"error: {error.strerror or error}" + (f" (file {error.filename})" if error.filename else ""))
        sys.exit(3)
    except MemoryError:
        _say("error: out of memory. Give fewer inputs at once, or split the file")
        sys.exit(3)
    except Exception as error:
        if os.environ.get("PREVENTABLE_DEBUG"):
            raise
        _say(
            f"bug: {type(error).__name__}: {error}. This is a fault in Preventable, not in your input; "
            "set PREVENTABLE_DEBUG=1 to see where, and please report it"
        )
        sys.exit(4)
    sys.exit(status if isinstance(status, int) else 0)


def _end_in_order_on_sigterm() -> None:
    own = os.getpid()

    def end(_number: int, _frame: object) -> None:
        if os.getpid() != own:
            os._exit(143)  # a worker has nothing of its own to tidy up
        arrived()

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, end)


def _say(message: str) -> None:
    # Ids and names of files in it come from whoever wrote the input.
    click.echo("preventable: " + printable(message, keep="\n\t"), err=True)
