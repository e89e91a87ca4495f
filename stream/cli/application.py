"""All commands in one application."""

from __future__ import annotations

import typer

from stream.cli import (
    catalog,
    explain,
    live,
    outlook,
    promote,
    retrain,
    serve,
    simulate,
    tail,
)
from stream.cli import (
    doctor as look,
)
from stream.cli import (
    evaluate as science,
)
from stream.cli import (
    models as registry,
)
from stream.cli import (
    replay as history,
)
from stream.cli import train as training

application = typer.Typer(
    name="quakecast",
    help="A real-time earthquake forecaster: probabilities of when the next event comes and how large, region by region. "
    "Nobody can predict earthquakes; these are probability forecasts.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
train = typer.Typer(help="Train a model.", no_args_is_help=True, rich_markup_mode=None)
train.command("lstm", epilog=training.TRAIN_EXAMPLES)(training.train_lstm)
train.command("cnn", epilog=training.CNN_EXAMPLES)(training.train_cnn)
train.command("gan", epilog=training.GAN_EXAMPLES)(training.train_gan)
application.command(epilog=live.UP_EXAMPLES)(live.up)
application.command(epilog=live.INGEST_EXAMPLES)(live.ingest)
application.command(epilog=live.FORECAST_EXAMPLES)(live.forecast)
application.command(epilog=outlook.OUTLOOK_EXAMPLES)(outlook.outlook)
application.command(epilog=serve.SERVE_EXAMPLES)(serve.serve)
application.command(epilog=history.REPLAY_EXAMPLES)(history.replay)
application.command(epilog=tail.TAIL_EXAMPLES)(tail.tail)
application.command(epilog=history.BACKFILL_EXAMPLES)(history.backfill)
application.command(epilog=catalog.CATALOG_EXAMPLES)(catalog.catalog)
application.command(epilog=look.DOCTOR_EXAMPLES)(look.doctor)
application.command(epilog=explain.EXPLAIN_EXAMPLES)(explain.explain)
application.command(epilog=promote.PROMOTE_EXAMPLES)(promote.promote)
application.command(epilog=registry.MODELS_EXAMPLES)(registry.models)
application.command(epilog=retrain.RETRAIN_EXAMPLES)(retrain.retrain)
application.add_typer(train, name="train")
application.command(epilog=simulate.SIMULATE_EXAMPLES)(simulate.simulate)
application.command(epilog=science.EVALUATE_EXAMPLES)(science.evaluate)
