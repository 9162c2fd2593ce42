"""The command ``flask --app wsgi ledger check``: the books proved, and what they cannot explain told."""

import sys

import click

from commands.progress import progress
from commands.sync import BY_CONSOLE
from core.errors import PanelError
from core.panel import Panel
from core.payments.proof import NAMED_ROWS, Findings, Proof, accept_drifts, check_ledger


def ledger_command(panel: Panel) -> click.Group:
    @click.group("ledger", help="Prove the books.")
    def ledger() -> None: ...

    @ledger.command("check", help="Prove every balance by the ledger. Exits with 1 when one has drifted.")
    @click.option("--accept", is_flag=True, help="Take balances that have drifted for right from now on.")
    def check(accept: bool) -> None:
        try:
            with progress("rows") as report:
                findings = check_ledger(panel, lambda done, total: report("ledger", done, total))
            _tell(findings)
            if accept and findings.drifts:
                accept_drifts(panel, BY_CONSOLE, findings)
                click.echo(f"Accepted: {len(findings.drifts)}")
        except PanelError as error:
            raise click.ClickException(error.text) from None
        if not findings.is_clean:
            sys.exit(1)

    return ledger


def _tell(findings: Findings) -> None:
    click.echo(f"{len(findings.proofs)} balances, {findings.rows} ledger rows")
    if findings.unexplained:
        click.echo("Not explained by history, remembered as these users' openings:")
        for proof in findings.unexplained:
            click.echo(f"- {proof.username}: {proof.opening.amount} {proof.currency} of {proof.balance}")
    if findings.ownerless:
        click.echo(f"Rows of users who are gone: {findings.ownerless}")
    for proof in findings.drifts:
        click.echo(f"DRIFT {_drift(proof)}")
    for label, ids in (("CHANGED", findings.changed), ("DELETED", findings.vanished)):
        if ids:
            more = " and more" if len(ids) == NAMED_ROWS else ""
            click.echo(f"{label} ledger rows: {', '.join(map(str, ids))}{more}")
    if findings.is_clean:
        click.echo("Every balance is proved.")


def _drift(proof: Proof) -> str:
    return (
        f"{proof.username}: the balance is {proof.balance} {proof.currency}, {proof.drift} more than proved "
        f"(opening {proof.opening.amount}, ledger {proof.explained}, held by open operations {proof.held})"
    )
