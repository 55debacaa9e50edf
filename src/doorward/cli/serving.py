"""`doorward up` and `doorward serve`: running the servers."""

from __future__ import annotations

from pathlib import Path

import click

from doorward.cli.collector import collect_rarely
from doorward.cli.options import Number, home_option, json_option
from doorward.cli.output import fail, run


@click.command("up")
@click.option(
    "--tls",
    is_flag=True,
    help="Serve HTTPS with a local certificate authority, for programs that insist on it.",
)
@click.option(
    "--port",
    type=Number(1, 65533),
    help="Public port (default 8080; with --tls the first of three, default 8443).",
)
@click.option(
    "--environment-port",
    type=Number(0, 65535),
    default=3773,
    show_default=True,
    help="Loopback port of this machine's own page.",
)
@click.option("--database", help="postgresql://… instead of SQLite in the data folder.")
@home_option
@json_option
def up(
    tls: bool, port: int | None, environment_port: int, database: str | None, home: Path | None, as_json: bool
) -> None:
    """Run everything here, with a demo service."""
    from doorward.client.configuration import default_home
    from doorward.server.logs import write_logs
    from doorward.server.up import UpOptions
    from doorward.server.up import up as run_up

    options = UpOptions(
        home=home or default_home(),
        tls=tls,
        port=port or (8443 if tls else 8080),
        environment_port=environment_port,
        database_url=database,
        as_json=as_json,
    )
    write_logs(level="warning")
    use_fast_loop()
    run(run_up(options), as_json=as_json)


@click.command("serve")
@click.option("--config", type=click.Path(path_type=Path), help="Path of doorward.toml.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path),
    help="Instead: a file with T3's relay variables (RELAY_DOMAIN, CLERK_SECRET_KEY, …), for accounts at Clerk.",
)
@click.option(
    "--stage",
    help="With --env-file: a stage beside production, with data and names of its own. [default: prod]",
)
@click.option(
    "--write-relay-url",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Once it runs, set T3CODE_RELAY_URL in this .env file; its other lines stay.",
)
def serve(
    config: Path | None, env_file: Path | None, stage: str | None, write_relay_url: Path | None
) -> None:
    """Run one server node, from doorward.toml or an env file."""
    from doorward.server.configuration import ConfigurationInvalid, load_serve_configuration
    from doorward.server.logs import write_logs
    from doorward.server.serve import serve as run_serve
    from doorward.server.serve import serve_stage

    if (config is None) == (env_file is None):
        raise click.UsageError("Name one of --config and --env-file.")
    if stage is not None and env_file is None:
        raise click.UsageError("--stage goes with --env-file; in doorward.toml it is relay.stage.")

    def say(text: str) -> None:
        print(text, flush=True)

    try:
        if env_file is not None:
            from doorward.server.env_file import load_env_file

            plan = load_env_file(env_file, stage="prod" if stage is None else stage)
            configuration = plan.configuration
            running = serve_stage(plan, say=say, relay_url_file=write_relay_url)
        else:
            assert config is not None
            configuration = load_serve_configuration(config)
            running = run_serve(configuration, say=say, relay_url_file=write_relay_url)
    except ConfigurationInvalid as error:
        fail(str(error), code="configuration_invalid")
    write_logs(shape=configuration.log.format, level=configuration.log.level)
    use_fast_loop()
    run(running)


def use_fast_loop() -> None:
    """uvloop where it exists (not on Windows); everything also runs on the standard loop.

    The collector never again looks at what the process has loaded by now, and rarely at the rest.
    """
    import asyncio
    import gc

    gc.freeze()
    collect_rarely()
    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
