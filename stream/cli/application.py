"""All commands in one application."""

from __future__ import annotations

import typer

from stream.cli.backfill import BACKFILL_EXAMPLES, backfill
from stream.cli.catalog import CATALOG_EXAMPLES, catalog
from stream.cli.doctor import DOCTOR_EXAMPLES, doctor
from stream.cli.evaluate import EVALUATE_EXAMPLES, evaluate
from stream.cli.explain import EXPLAIN_EXAMPLES, explain
from stream.cli.forecast import FORECAST_EXAMPLES, forecast
from stream.cli.ingest import INGEST_EXAMPLES, ingest
from stream.cli.models import MODELS_EXAMPLES, models
from stream.cli.outlook import OUTLOOK_EXAMPLES, outlook
from stream.cli.promote import PROMOTE_EXAMPLES, promote
from stream.cli.replay import REPLAY_EXAMPLES, replay
from stream.cli.retrain import RETRAIN_EXAMPLES, retrain
from stream.cli.serve import SERVE_EXAMPLES, serve
from stream.cli.simulate import SIMULATE_EXAMPLES, simulate
from stream.cli.tail import TAIL_EXAMPLES, tail
from stream.cli.train import CNN_EXAMPLES, GAN_EXAMPLES, TRAIN_EXAMPLES, train_cnn, train_gan, train_lstm
from stream.cli.up import UP_EXAMPLES, up

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
train.command("lstm", epilog=TRAIN_EXAMPLES)(train_lstm)
train.command("cnn", epilog=CNN_EXAMPLES)(train_cnn)
train.command("gan", epilog=GAN_EXAMPLES)(train_gan)
application.command(epilog=UP_EXAMPLES)(up)
application.command(epilog=INGEST_EXAMPLES)(ingest)
application.command(epilog=FORECAST_EXAMPLES)(forecast)
application.command(epilog=OUTLOOK_EXAMPLES)(outlook)
application.command(epilog=SERVE_EXAMPLES)(serve)
application.command(epilog=REPLAY_EXAMPLES)(replay)
application.command(epilog=TAIL_EXAMPLES)(tail)
application.command(epilog=BACKFILL_EXAMPLES)(backfill)
application.command(epilog=CATALOG_EXAMPLES)(catalog)
application.command(epilog=DOCTOR_EXAMPLES)(doctor)
application.command(epilog=EXPLAIN_EXAMPLES)(explain)
application.command(epilog=PROMOTE_EXAMPLES)(promote)
application.command(epilog=MODELS_EXAMPLES)(models)
application.command(epilog=RETRAIN_EXAMPLES)(retrain)
application.add_typer(train, name="train")
application.command(epilog=SIMULATE_EXAMPLES)(simulate)
application.command(epilog=EVALUATE_EXAMPLES)(evaluate)
