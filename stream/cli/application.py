"""All commands in one application. A command's module is imported when the command is run: what one needs costs the others no time."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

COMMANDS = {
    "up": "Run everything in one process, on an embedded log.",
    "ingest": "Follow the USGS feed and write its changes to the log.",
    "forecast": "Issue forecasts.",
    "outlook": "Simulate each region's next year, daily and after large events.",
    "serve": "Serve the API, the stream and the page from a log.",
    "replay": "Replay the past through the code that runs live.",
    "tail": "Print records as they arrive.",
    "backfill": "Fetch a catalogue from the FDSN event service, page by page.",
    "catalog": "Describe a catalogue: oddities, completeness, b-value.",
    "doctor": "Check what is reachable, what is configured and what is wrong.",
    "explain": "Explain a region's forecast by the events that it rests on.",
    "promote": "Put a model in force without a stop.",
    "models": "List the models that can be promoted.",
    "retrain": "Train on the newest catalogue; promote what is better.",
    "simulate": "Simulate how a sequence may unfold after a mainshock.",
    "evaluate": "Score a model on a catalogue, beside baselines.",
}
"""By command, one line for the list of commands. `up` is the function `up` of `stream.cli.up`, with its examples in `UP_EXAMPLES`."""
TRAINED = {
    "lstm": "Train the network of when, how large and where.",
    "cnn": "Train the network over maps on top of a model.",
    "gan": "Train the generator of aftershock sequences.",
}
"""The same for the members of `train`: `lstm` is the function `train_lstm` of `stream.cli.train`."""


class _Commands(TyperGroup):
    """The group `quakecast`, whose commands are made when they are asked for."""

    group: str | None = None
    summaries = COMMANDS

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands: dict[str, Any] = dict.fromkeys(self.summaries) | dict(self.commands)  # None: not made yet

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        return list(self.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; None if there is no such command."""
        if cmd_name in self.commands and self.commands[cmd_name] is None:
            self.commands[cmd_name] = self._make(cmd_name)
        return self.commands.get(cmd_name)

    def _make(self, name: str) -> Any:
        module = import_module(f"stream.cli.{self.group or name}")
        one = typer.Typer(add_completion=False, rich_markup_mode=None)
        epilog, function = getattr(module, f"{name.upper()}_EXAMPLES"), getattr(module, f"{self.group}_{name}" if self.group else name)
        one.command(name, epilog=epilog)(function)
        return typer.main.get_command(one)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the list of commands, one line for each."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self.summaries.get(name) or self.commands[name].help) for name in self.commands])


class _Training(_Commands):
    """The group `quakecast train`."""

    group = "train"
    summaries = TRAINED


application = typer.Typer(
    name="quakecast",
    cls=_Commands,
    help="A real-time earthquake forecaster: probabilities of when the next event comes and how large, region by region. "
    "Nobody can predict earthquakes; these are probability forecasts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
application.add_typer(typer.Typer(cls=_Training, help="Train a model.", no_args_is_help=True, rich_markup_mode=None), name="train")
