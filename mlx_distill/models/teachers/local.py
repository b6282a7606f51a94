"""A model on this machine as the teacher: no key, no cost, no network once its weights are here.

In: a Request. Out: a Reply, greedy; a repeat (`sample` > 0) is drawn at temperature 1 from a seed of its own. One
thread owns all of MLX and writes a token of every running answer a step (continuous batching, Orca, OSDI 2022): a
short answer leaves at once and a new question takes its place. The price is that answers in a batch can differ from
the same one written alone where two tokens tie within float rounding. A `schema` is enforced while writing
(teachers/structured.py), and the answer ends with its JSON; it is whole JSON unless `max_tokens` cut it. A model thinks
or not as its chat template says; `thinking` is not read, and under a schema it thinks only if the template began it.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from mlx_distill.models import students
from mlx_distill.models.students import Student
from mlx_distill.models.students.batching import why_alone
from mlx_distill.models.teachers import Reply, Request
from mlx_distill.models.teachers.structured import Mask, Schemas
from mlx_distill.run import reasoning
from mlx_distill.run.errors import DistillError, TeacherError, UsageError, words_of

PROBED = 3
"""Prompts of the batch that shows whether a teacher may be asked several at a time."""

CLOSE_SECONDS = 10.0
"""How long closing waits for the thread, so that its memory is free; a longer loading is left behind."""


class LocalTeacher:
    """`spec` is a known name, hub id, folder or GGUF file. It is loaded at the first question, in the thread that
    uses it: what MLX has not computed yet cannot change threads.

    Raises UsageError without a spec, DataError for one that names nothing.
    """

    limits = None

    def __init__(self, spec: str, load: Callable[[str], Student] = students.load) -> None:
        if not spec:
            raise UsageError("--teacher mlx: names no model: add a hub id, a model folder or a .gguf file.")
        students.check_name(spec)
        self.model = model_name(spec)
        self._spec, self._load = spec, load
        self._inbox: SimpleQueue[_Question | None] = SimpleQueue()
        self._waiting: set[_Question] = set()
        self._closed = threading.Event()
        self._parked = threading.Event()
        self._thread: threading.Thread | None = None

    async def answer(self, request: Request) -> Reply:
        """Raises DataError when the model cannot be loaded, TeacherError when it fails or is closed meanwhile."""
        if self._closed.is_set():
            raise _closed(self.model)
        question = _Question(request)
        self._waiting.add(question)
        self._inbox.put(question)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self.model, daemon=True)
            self._thread.start()
            atexit.register(self._end)
        try:
            return await asyncio.wrap_future(question.reply)
        finally:
            self._waiting.discard(question)

    def worst_usd(self, request: Request) -> float:
        return 0.0

    def different_answers(self, prompt: str) -> None:
        """Each is drawn anew."""

    async def close(self) -> None:
        """Tells whoever still waits; after the step that it is in, the thread gives the memory back."""
        self._closed.set()
        for question in list(self._waiting):
            question.fail(_closed(self.model))
        await asyncio.to_thread(self._end)
        atexit.unregister(self._end)

    def _end(self) -> None:
        """Also runs when the process ends without closing: a thread that Python stops inside of MLX aborts it."""
        self._closed.set()
        self._inbox.put(None)
        if self._thread:
            self._parked.wait(CLOSE_SECONDS)

    def _work(self) -> None:
        """The thread. It never ends: MLX's thread-local state takes the GIL when a thread ends, too late at exit."""
        try:
            self._write()
        finally:
            self._parked.set()
            SimpleQueue[None]().get()

    def _write(self) -> None:
        """Until closed. A failure is told to all who wait, and the next question loads the model again."""
        batch: _Batch | None = None
        asked: list[_Question] = []
        while not self._closed.is_set():
            asked = [question for question in asked if not question.reply.done()]
            arrived = self._arrived(wait=not asked)
            asked += arrived
            try:
                if arrived and batch is None:
                    batch = _Batch(self._load(self._spec), self.model)
                if batch:
                    batch.step(arrived)
            except Exception as error:
                batch = None
                for question in asked:
                    question.fail(_told(error, self.model))
        if batch:
            batch.close()

    def _arrived(self, *, wait: bool) -> list[_Question]:
        """What was asked since the last step; `wait` blocks until something was, or the teacher is closed."""
        arrived = [self._inbox.get()] if wait else []
        while not self._inbox.empty():
            arrived.append(self._inbox.get())
        return [question for question in arrived if question]


@dataclass(eq=False)
class _Question:
    """A request on its way to the thread. Whoever waits may have gone, or been told of the closing, at any time."""

    request: Request
    reply: Future[Reply] = field(default_factory=Future)

    def settle(self, reply: Reply) -> None:
        with contextlib.suppress(InvalidStateError):
            self.reply.set_result(reply)

    def fail(self, error: DistillError) -> None:
        with contextlib.suppress(InvalidStateError):
            self.reply.set_exception(error)


@dataclass
class _Answer:
    """One sequence of the batch. `opening` is a tag of reasoning that the prompt itself has opened."""

    question: _Question
    prompt_tokens: int
    opening: str
    mask: Mask | None
    tokens: list[int] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)


class _Batch:
    """The answers being written together, at most 32 (mlx-lm's default); more wait. Belongs to one thread."""

    def __init__(self, student: Student, model: str) -> None:
        from mlx_lm.generate import BatchGenerator

        self._student, self._model = student, model
        self._tags = student.tokenizer.think_start or "<think>", student.tokenizer.think_end or "</think>"
        self._answers: dict[int, _Answer] = {}
        self._schemas: Schemas | None = None
        stops = [[token] for token in student.tokenizer.eos_token_ids]
        sizes = {"completion_batch_size": 1, "prefill_batch_size": 1} if why_alone(student, PROBED) else {}
        self._generator = BatchGenerator(student.model, stop_tokens=stops, **sizes)

    def step(self, arrived: list[_Question]) -> None:
        """Drops what nobody waits for, takes new questions in, and writes a token of every running answer."""
        left = [uid for uid, answer in self._answers.items() if answer.question.reply.done()]
        self._generator.remove(left)
        for uid in left:
            del self._answers[uid]
        for question in arrived:
            try:
                self._begin(question)
            except Exception as error:
                question.fail(_told(error, self._model))
        for written in self._generator.next()[1]:
            if written.finish_reason != "stop":
                self._answers[written.uid].tokens.append(written.token)
            if written.finish_reason:
                self._finish(self._answers.pop(written.uid), written.finish_reason)

    def close(self) -> None:
        import mlx.core as mx

        mx.synchronize(self._generator.stream)
        self._generator.close()
        del self._generator, self._student
        mx.clear_cache()

    def _begin(self, question: _Question) -> None:
        request = question.request
        messages = self._student.under(request.system, [{"role": "user", "content": request.prompt}])
        prompt = self._student.tokens(messages)
        limit = min(request.max_tokens, _room(self._student, len(prompt)))
        tail = self._student.tokenizer.decode(prompt[-8:]).rstrip()
        opening = self._tags[0] if tail.endswith(self._tags[0]) else ""
        sampler = _sampler(request) if request.sample else None
        mask = self._mask(request.schema, self._tags[1] if opening else "") if request.schema else None
        processors = [mask] if mask else []
        (uid,) = self._generator.insert([prompt], [limit], samplers=[sampler], logits_processors=[processors])
        self._answers[uid] = _Answer(question, len(prompt), opening, mask)

    def _mask(self, schema: str, after: str) -> Mask:
        if self._schemas is None:
            self._schemas = Schemas(self._student.tokenizer, self._model)
        return self._schemas.mask(schema, after)

    def _finish(self, answer: _Answer, reason: str) -> None:
        written = answer.opening + self._student.tokenizer.decode(answer.tokens)
        thought, text, _ = reasoning.split(written, self._tags)
        answer.question.settle(
            Reply(
                text=text,
                stop_reason=_stop_reason(answer, reason),
                model=self._model,
                input_tokens=answer.prompt_tokens,
                output_tokens=len(answer.tokens),
                seconds=time.monotonic() - answer.started,
                reasoning=thought,
            )
        )


def model_name(spec: str) -> str:
    """What identifies the weights in the ledger: `mlx:` and the hub id, or a local name and 12 digits of its content.

    A folder is told by the sizes and times of its weight files, so that nothing large is read: a copy is another
    teacher, a moved folder is not. A GGUF file is hashed whole.
    """
    path = Path(spec).expanduser()
    if not path.exists():
        return f"mlx:{spec}"
    content = students.identity(spec).removeprefix(spec)
    return f"mlx:{path.absolute().name}@{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _room(student: Student, prompt_tokens: int) -> int:
    """How many tokens an answer can have in the model's context; raises TeacherError when there is none."""
    context = getattr(getattr(student.model, "args", None), "max_position_embeddings", None)
    if not context:
        return 2**31
    if prompt_tokens >= context:
        raise TeacherError(
            f"A prompt of {prompt_tokens} tokens fills the {context} of {student.spec}'s context: "
            "shorten it, or choose another --teacher."
        )
    return int(context) - prompt_tokens


def _stop_reason(answer: _Answer, reason: str) -> str:
    """`unfinished`: it ended before its JSON, in its reasoning or because the schema's parser gave up."""
    if reason == "length":
        return "max_tokens"
    return "unfinished" if answer.mask and not answer.mask.complete else "end_turn"


def _sampler(request: Request) -> Callable[[Any], Any]:
    """Draws at temperature 1; the seed is the request's own, so that neighbours in the batch change nothing."""
    import mlx.core as mx

    key = mx.random.key(int(request.key[:8], 16))

    def draw(logprobs: Any) -> Any:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(logprobs, key=now)

    return draw


def _closed(model: str) -> TeacherError:
    return TeacherError(f"{model} was closed before it answered: run the same command again.")


def _told(error: Exception, model: str) -> DistillError:
    """Any failure as one line that says what to do."""
    if isinstance(error, DistillError):
        return error
    reason = words_of(error, named=True)
    return TeacherError(
        f"{model} failed ({reason}): if memory is short, lower --concurrency or choose a smaller --teacher."
    )
