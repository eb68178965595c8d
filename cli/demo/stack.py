"""Broker, topics, ingress and worker: looked at before, started in order, watched, and ended in order."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli import broker, local, processes
from cli.broker import ports
from cli.broker.errors import PortTaken, StartFailed
from cli.processes import Gone, Report, Reports
from ingress import preparing as of_ingress
from ingress.settings import IngressSettings
from models.settings import CatalogueSettings, KafkaSettings, Settings, load, load_all
from models.stages import STAGES
from streams import preparing as of_stages
from streams.settings import class_of

PATIENCE_S = 30.0  # then a person is told what is waited for
ENDS_MAX = 3  # of a stage that was never ready


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be started, every setting of it looked at: the environment of the processes, and where they are."""

    folder: Path
    environment: Mapping[str, str]
    ingress_url: str
    kafka: str | None  # the operator's
    kafka_port: int | None  # of one of our own
    log_start: int
    silent: tuple[str, ...]  # stages whose port somebody else has

    @property
    def log(self) -> Path:
        """Where all processes write."""
        return self.folder / "service.log"

    def said(self) -> str:
        """Return the last that this run has in the log."""
        return processes.last_lines(self.log, start=self.log_start)


def plan(folder: Path, *, settings: Mapping[str, str], kafka_port: int) -> Plan:
    """Look at every setting before anything starts; raise `Misconfigured`, or `PortTaken` for that of the ingress.

    `settings` count before the operator's. Without a Kafka of the operator's, ours will have `kafka_port`.
    """
    given = {name.lower(): value for name, value in settings.items()}
    if not local.kafka_is_given():
        given = local.own(f"{ports.LOOPBACK}:{kafka_port}") | given
    kinds: list[type[Settings]] = [IngressSettings, CatalogueSettings, *map(class_of, STAGES)]
    load_all(kinds, **given)
    ingress = load(IngressSettings, **given)
    of_ingress.prepare(ingress)
    silent = []
    for stage in STAGES:
        found = load(class_of(stage), **given)
        of_stages.prepare(found)
        answers_at = found.port(stage, alone=False)
        if answers_at and not ports.is_free(answers_at):
            silent.append(f"{stage} ({answers_at})")
    port = ingress.ingress_port or ports.free(1)[0]
    if not ports.is_free(port):
        raise PortTaken(f"Port {port} is taken, perhaps by another ingress. Set INGRESS_PORT to another.")
    log = folder / "service.log"
    return Plan(
        folder=folder,
        environment=local.as_environment(given) | {"INGRESS_PORT": str(port)},
        ingress_url=ingress.url(port),
        kafka=load(KafkaSettings).kafka_bootstrap_servers if local.kafka_is_given() else None,
        kafka_port=None if local.kafka_is_given() else kafka_port,
        log_start=processes.size(log),
        silent=tuple(silent),
    )


class Stack:
    """A running service."""

    def __init__(self, plan: Plan, bootstrap_servers: str, reports: Reports) -> None:
        self.plan = plan
        self.bootstrap_servers = bootstrap_servers
        self._reports = reports

    async def become_ready(self, say: Callable[[str], None]) -> None:
        """Return when the ingress and every stage said that they are ready; raise `StartFailed` if one cannot be."""
        waiting, ends = {"ingress", *STAGES}, Counter[str]()
        while waiting:
            report = await self._reports.next(timeout_s=PATIENCE_S)
            if report is None:
                say(f"Waiting for {', '.join(sorted(waiting))} ...")
            elif report.state == "ready":
                waiting.discard(report.process)
            else:
                self._tell(report, say)
                waiting.add(report.process)
                ends[report.process] += 1
                if ends[report.process] == ENDS_MAX:
                    raise StartFailed(f"{report.process} does not become ready: {self.plan.said()}")

    async def watch(self, say: Callable[[str], None]) -> None:
        """Tell of stages that end and start again; raise `Gone` when ingress or worker end."""
        ended: set[str] = set()
        while True:
            report = await self._reports.next()
            if report is None:
                continue
            if report.state == "ready" and report.process in ended:
                ended.discard(report.process)
                say(f"{report.process} is ready again.")
            elif report.state != "ready":
                self._tell(report, say)
                ended.add(report.process)

    def _tell(self, report: Report, say: Callable[[str], None]) -> None:
        if report.state == "gone":
            raise Gone(report, self.plan.said())
        say(f"{report.process} ended (exit code {report.code}) and is started again; the log says why.")


@contextlib.asynccontextmanager
async def running(plan: Plan, *, say: Callable[[str], None]) -> AsyncIterator[Stack]:
    """Run what was planned; yields when all of it said that it is ready."""
    async with contextlib.AsyncExitStack() as stack:
        node = await stack.enter_async_context(
            broker.running(plan.folder / "broker", given=plan.kafka, port=plan.kafka_port, say=say)
        )
        environment = {**plan.environment, "KAFKA_BOOTSTRAP_SERVERS": node.bootstrap_servers}
        await processes.run("topics", "apply", "--mend", environment=environment, log=plan.log)
        if plan.silent:
            say(f"Ports of stages are taken, and these answer no questions: {', '.join(plan.silent)}. Set WORKER_PORT.")
        say(f"Starting the ingress at {plan.ingress_url} and the worker ...")
        reports = await stack.enter_async_context(Reports())
        for name in ("worker", "ingress"):
            await stack.enter_async_context(
                processes.child(name, environment=environment, log=plan.log, reports=reports)
            )
        service = Stack(plan, node.bootstrap_servers, reports)
        await service.become_ready(say)
        yield service
