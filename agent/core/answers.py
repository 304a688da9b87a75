"""What an API answered against what an http check wants. Pure."""

from __future__ import annotations

import json
from typing import Any

from agent.core.checks import HttpAnswer, HttpCheck, JsonExpect
from agent.core.expect import Judgement, same, show
from agent.core.models import Verdict

_MISSING = object()


def judge_answer(spec: HttpCheck, answer: HttpAnswer) -> Judgement:
    """Status, JSON values and text, all of which must be as wanted."""
    wanted = [f"status {' or '.join(str(status) for status in spec.status)}"]
    wrong = [] if answer.status in spec.status else [f"status {answer.status}"]
    if spec.contains is not None:
        wanted.append(f"a body with {show(spec.contains)}")
        if spec.contains not in answer.text:
            wrong.append(f"{show(spec.contains)} is not in the body")
    wanted += [_phrase(expect) for expect in spec.json_]
    if answer.cut and (wrong or spec.json_) and answer.status in spec.status:
        return Judgement(Verdict.ERRORED, ", ".join(wanted), "the body is too long to be looked at")
    if spec.json_ and not wrong:
        try:
            body = json.loads(answer.text)
        except (ValueError, RecursionError):
            wrong.append("the body is not JSON")
        else:
            wrong += [told for expect in spec.json_ if (told := _slip(expect, body))]
    verdict = Verdict.FAILED if wrong else Verdict.PASSED
    return Judgement(verdict, ", ".join(wanted), ", ".join(wrong) or f"status {answer.status}, and all is so")


def _phrase(expect: JsonExpect) -> str:
    if not expect.exists:
        return f"no {expect.path}"
    return f"{expect.path} = {show(expect.equals)}" if "equals" in expect.model_fields_set else f"some {expect.path}"


def _slip(expect: JsonExpect, body: Any) -> str:  # noqa: ANN401 - any JSON
    found = _at(body, expect.path)
    if (found is not _MISSING) is not expect.exists:
        return f"there is no {expect.path}" if expect.exists else f"there is {expect.path}: {show(found)}"
    if "equals" in expect.model_fields_set and expect.exists and not same(expect.equals, found):
        return f"{expect.path} = {show(found)}"
    return ""


def _at(body: Any, path: str) -> Any:  # noqa: ANN401 - any JSON
    for part in path.split("."):
        if isinstance(body, dict) and part in body:
            body = body[part]
        elif isinstance(body, list) and part.isdigit() and len(part) < 9 and int(part) < len(body):
            body = body[int(part)]
        else:
            return _MISSING
    return body
