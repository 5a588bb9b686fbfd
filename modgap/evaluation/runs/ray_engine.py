"""The units of a run on many devices and machines, with Ray.

Actors hold one loaded model each and answer units; this process hands the units out, takes the rows
and is the only one that writes. So the files, and what a kill costs, are the same as without Ray.
"""

from __future__ import annotations

import logging
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from modgap.core.errors import ModelError, SettingsError
from modgap.core.folders import cache_folder
from modgap.evaluation.runs.failures import DeviceLost
from modgap.evaluation.runs.plan import Plan, Unit, records_of
from modgap.evaluation.runs.run_settings import RunSettings
from modgap.evaluation.runs.shards import Rows
from modgap.evaluation.runs.worker import Asked

__all__ = ["RayEngine"]

log = logging.getLogger(__name__)

#: Units that an actor has at once: the next one is there when one is done.
AHEAD = 2
#: So often may a unit lose its worker; then its questions are tried alone, and then given up.
DEATHS = 2


class _Actor:
    """In a process of its own, perhaps on another machine."""

    def __init__(self, loader: Any, settings: RunSettings, cache: str) -> None:
        os.environ.setdefault("MODGAP_CACHE", cache)
        self.loader = loader
        self.settings = settings
        self.beside: dict[str, Any] = {}
        self.worker: Any = None

    def load(self, name: str, where: str) -> dict[str, Any]:
        """Take a model in the place of the one before; what run.json says of it."""
        self.worker = None
        self.worker = self.loader.worker(name, self.settings, self.beside, where)
        return records_of(self.worker)

    def run(self, asked: tuple[Asked, ...]) -> Rows:
        """Answer a unit."""
        return self.worker.run(asked)


@dataclass(eq=False)
class _Queue:
    """A model's units: those that lost their worker first, then the others."""

    model: str
    units: Iterator[Unit]
    again: deque[Unit] = field(default_factory=deque)
    dry: bool = False
    actors: int = 0

    def next(self) -> Unit | None:
        if self.again:
            return self.again.popleft()
        found = None if self.dry else next(self.units, None)
        self.dry = found is None
        return found


@dataclass(eq=False)
class _Hand:
    """An actor, the model it holds, and what it was given to do: (reference, unit or None)."""

    actor: Any
    queue: _Queue | None = None
    given: deque[tuple[Any, Unit | None]] = field(default_factory=deque)


class RayEngine:
    """Spreads a run's units over a Ray cluster; for `evaluate`'s `engine`.

    Parameters
    ----------
    address : str, optional
        Of a running cluster (``"auto"``, ``"10.0.0.1:6379"``); by default one is started on this
        machine and ended afterwards. Its machines need modgap, and the data set and the models at
        the same paths.
    workers : int, optional
        Actors; by default one a GPU, or one a CPU where there is no GPU.
    gpus, cpus : float, optional
        What each actor asks for; by default one GPU where there are any, else one CPU.
    """

    def __init__(
        self,
        address: str | None = None,
        workers: int | None = None,
        *,
        gpus: float | None = None,
        cpus: float = 1,
    ) -> None:
        self.address = address
        self.workers = workers
        self.gpus = gpus
        self.cpus = cpus

    def __call__(self, plan: Plan) -> None:
        """Do all that the plan has.

        Raises
        ------
        SettingsError
            Ray is not installed, or the cluster cannot be reached.
        DeviceLost
            Workers die however often they are started again.
        """
        ray = _ray()
        mine = not ray.is_initialized()
        try:
            if mine:
                ray.init(
                    address=self.address,
                    include_dashboard=None if self.address else False,
                    log_to_driver=False,
                    logging_level="ERROR",
                )
        except (ConnectionError, RuntimeError, ValueError) as problem:
            raise SettingsError(
                f"The Ray cluster at {self.address} cannot be reached "
                f"({' '.join(str(problem).split())[:200]}): start it with `ray start --head`."
            ) from problem
        try:
            _Spread(self, plan, ray).run()
        finally:
            if mine:
                ray.shutdown()


class _Spread:
    """One run over one cluster."""

    def __init__(self, engine: RayEngine, plan: Plan, ray: Any) -> None:
        self.plan = plan
        self.ray = ray
        found = ray.cluster_resources()
        gpus = int(found.get("GPU", 0)) if plan.loader.device != "cpu" else 0
        each = engine.gpus if engine.gpus is not None else min(1, gpus)
        room = gpus / each if each else found.get("CPU", 1) / max(engine.cpus, 1e-9)
        self.count = engine.workers or max(1, int(room))
        self.make = ray.remote(num_gpus=each, num_cpus=engine.cpus)(_Actor)
        if Path(plan.data).exists():
            plan.data = str(Path(plan.data).resolve())  # workers stand in another folder
        self.queues = [_Queue(name, plan.units(name)) for name in plan.models]
        self.hands: list[_Hand] = []
        self.in_vain = 0

    def run(self) -> None:
        """Hand out and take in, until nothing is left."""
        self.hands = [self._hand() for _ in range(self.count)]
        try:
            for hand in self.hands:
                self._fill(hand)
            # An actor does what it was given in order, so its first reference is ready first.
            while refs := {h.given[0][0]: h for h in self.hands if h.given}:
                ready, _ = self.ray.wait(list(refs), num_returns=1)
                self._take(refs[ready[0]])
                for hand in self.hands:  # a unit that came back may be for an idle one
                    self._fill(hand)
        finally:
            for hand in self.hands:
                self.ray.kill(hand.actor)

    def _hand(self) -> _Hand:
        cache = str(cache_folder().resolve())
        return _Hand(self.make.remote(self.plan.loader, self.plan.settings, cache))

    def _fill(self, hand: _Hand) -> None:
        """Give an actor units: of its own model, or when that has no more, of another."""
        while len(hand.given) < AHEAD:
            unit = hand.queue.next() if hand.queue is not None else None
            if unit is None:
                if hand.given:
                    return  # first finish, then change the model
                unit = self._switch(hand)
                if unit is None:
                    return
            hand.given.append((hand.actor.run.remote(unit.asked), unit))

    def _switch(self, hand: _Hand) -> Unit | None:
        """Let an idle actor load the model that needs it most, and return that one's next unit."""
        if hand.queue is not None:
            hand.queue.actors -= 1
            hand.queue = None
        # A model that nobody has comes first: then actors that share one only share its rest.
        for queue in sorted(self.queues, key=lambda q: q.actors):
            unit = queue.next()
            if unit is not None:
                hand.queue = queue
                queue.actors += 1
                where = Path(queue.model)
                folder = str(where.resolve()) if where.is_dir() else queue.model
                hand.given.append((hand.actor.load.remote(queue.model, folder), None))
                return unit
        return None

    def _take(self, hand: _Hand) -> None:
        # A unit's rows come back whole or not at all, and only then are handed to the plan: a unit
        # whose worker died is asked again without any row being written twice.
        ref, unit = hand.given[0]
        try:
            found = self.ray.get(ref)
        except self.ray.exceptions.RayTaskError as problem:
            cause = getattr(problem, "cause", None) or problem
            if isinstance(cause, ModelError) and unit is None:
                self._unloadable(hand, cause)
            elif isinstance(cause, DeviceLost):
                self._died(hand, cause)
            else:
                raise cause from problem
            return
        except self.ray.exceptions.RayError as problem:
            self._died(hand, problem)
            return
        hand.given.popleft()
        if unit is None:
            self.plan.note(found)
        else:
            self.in_vain = 0
            self.plan.add(unit, found)

    def _unloadable(self, hand: _Hand, cause: ModelError) -> None:
        assert hand.queue is not None
        self.plan.summary.unloadable[hand.queue.model] = str(cause)
        log.warning("%s is left out: %s", hand.queue.model, cause)
        hand.queue.again.clear()
        hand.queue.dry = True
        hand.given.clear()  # what was asked of it fails for the same reason

    def _died(self, hand: _Hand, problem: Exception) -> None:
        """Start another worker; the units of the dead one are done again, by whoever is free."""
        self.in_vain += 1
        # Each worker may die of the same bad unit a few times; more in a row is the cluster.
        if self.in_vain > 3 * self.count + DEATHS:
            raise DeviceLost(
                f"Workers died {self.in_vain} times in a row, the last one of this: "
                f"{' '.join(str(problem).split())[:300]}. What was written stays; the same command "
                "goes on from there."
            ) from problem
        log.warning("A worker died; its work is given to another (%s).", type(problem).__name__)
        queue, given = hand.queue, [unit for _, unit in hand.given]
        self.ray.kill(hand.actor)
        fresh = self._hand()
        hand.actor, hand.queue = fresh.actor, None
        hand.given.clear()
        if queue is None:
            return
        queue.actors -= 1
        units = [unit for unit in given if unit is not None]
        if units and given[0] is not None:  # it died over this one, not while loading
            units = [*self._once_more(units[0]), *units[1:]]
        queue.again.extendleft(reversed(units))

    def _once_more(self, unit: Unit) -> list[Unit]:
        """A unit that lost its worker: again, then question by question, then given up."""
        deaths = unit.deaths + 1
        if deaths < DEATHS:
            return [replace(unit, deaths=deaths)]
        if len(unit.asked) > 1:
            return [Unit(unit.model, (asked,)) for asked in unit.asked]
        ((question, inputs),) = unit.asked
        reason = f"The worker died {deaths} times over this question."
        rows = [
            {
                "model": unit.model,
                "question": question.id,
                "input": given,
                "kind": "WorkerDied",
                "reason": reason,
            }
            for given in inputs
        ]
        self.plan.add(unit, {"failures": rows})
        return []


def _ray() -> Any:
    # Ray reports its use to its makers unless it is told not to.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise SettingsError(
            "The engine ray needs the package ray: pip install 'modgap[ray]'"
        ) from None
    return ray
