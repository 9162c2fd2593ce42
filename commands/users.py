"""The commands about users."""

import click

from commands.failing import failing_clearly
from commands.sync import BY_CONSOLE
from core.access.passkeys.unverified import list_unverified
from core.administration import users
from core.panel import Panel
from core.resellers import assigning


def user_command(panel: Panel) -> click.Group:
    @click.group("user", help="Add users and set their passwords.")
    def user() -> None: ...

    @user.command("add", help="Add a user; asks for the password.")
    @click.argument("username")
    @click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
    @click.option("--name", help="The name shown in the panel.")
    @click.option("--email")
    @click.option("--currency", default="GBP", show_default=True)
    @click.option("--super", "super_user", is_flag=True, help="A super admin.")
    @click.option("--observer", is_flag=True, help="Sees everything, changes nothing.")
    @failing_clearly
    def add(
        username: str,
        password: str,
        name: str | None,
        email: str | None,
        currency: str,
        super_user: bool,
        observer: bool,
    ) -> None:
        users.add_user(
            panel,
            username,
            password,
            name=name,
            email=email,
            currency=currency,
            super_user=super_user,
            is_observer=observer,
        )
        click.echo(f"User {username} added.")

    @user.command("password", help="Set a user's password; asks for it. The user's sessions end.")
    @click.argument("username")
    @click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
    @failing_clearly
    def password_(username: str, password: str) -> None:
        users.set_password(panel, username, password)
        click.echo(f"Password of {username} set.")

    user.add_command(_passkeys_command(panel))
    return user


def _passkeys_command(panel: Panel) -> click.Command:
    @click.command("passkeys", help="List the passkeys that a PHP panel stored and nobody has verified here.")
    @failing_clearly
    def passkeys() -> None:
        found = list_unverified(panel)
        for passkey in found:
            use = "can log in" if passkey.is_usable else "has no usable key"
            click.echo(f"{passkey.username}: {passkey.device_name or '?'}, {passkey.created_at or 'unknown'}, {use}")
        click.echo(f"{len(found)} passkeys that were not verified here.")

    return passkeys


def unassign_command(panel: Panel) -> click.Command:
    @click.command("unassign-admins", help="Assign the accounts of super admins to nobody.")
    @failing_clearly
    def unassign_admins() -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        click.echo(f"Updated {assigning.unassign_super_admins(panel, BY_CONSOLE)} accounts.")

    return unassign_admins
