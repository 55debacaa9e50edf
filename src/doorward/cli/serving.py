"""`doorward up` and `doorward serve`: running the servers."""

from __future__ import annotations

from pathlib import Path

import typer

from doorward.cli.output import fail, run


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    app.command("up")(up)
    app.command("serve")(serve)


def up(
    tls: bool = typer.Option(
        False, "--tls", help="Serve HTTPS with a local certificate authority, for programs that insist on it."
    ),
    port: int = typer.Option(
        None, "--port", help="Public port (default 8080; with --tls the first of three, default 8443)."
    ),
    environment_port: int = typer.Option(
        3773, "--environment-port", help="Loopback port of this machine's own page."
    ),
    home: Path = typer.Option(
        None, "--home", help="Data folder (default: DOORWARD_HOME, or the user's data folder)."
    ),
    database: str = typer.Option(
        None, "--database", help="postgresql://… instead of SQLite in the data folder."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print the banner as one JSON object."),
) -> None:
    """Run everything on this machine, with a demo service behind the door."""
    from doorward.client.configuration import default_home
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
    use_fast_loop()
    run(run_up(options), as_json=as_json)


def serve(
    config: Path = typer.Option(..., "--config", help="Path of doorward.toml."),
) -> None:
    """Run one server node: identity, relay and edge, as the configuration says."""
    from doorward.server.configuration import ConfigurationInvalid, load_serve_configuration
    from doorward.server.serve import serve as run_serve

    try:
        configuration = load_serve_configuration(config)
    except ConfigurationInvalid as error:
        fail(str(error), code="configuration_invalid")
    use_fast_loop()
    run(run_serve(configuration, say=lambda text: print(text, flush=True)))


def use_fast_loop() -> None:
    """uvloop where it exists (not on Windows); everything also runs on the standard loop."""
    import asyncio

    try:
        import uvloop
    except ImportError:
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
