"""Typed input of flow runs: what a paused run waits for, and what runs send to each other.

A question is two inputs of the run, kept under the keys of a keyset: the JSON schema of what is wanted, and a
description. The answer, checked against the schema by the server, is a third one.
"""

import json
from typing import Any, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from penstock.client import flow_run_inputs
from penstock.engine.watches import Ask
from penstock.errors import ConfigurationError, Conflict, NotFound, ParameterError
from penstock.model.states import State

#: Key -> where it is kept: "description", "response", "schema".
Keyset = dict[str, str]


def keyset_from_base_key(base_key: str) -> Keyset:
    """Where question and answer are kept whose keys begin with `base_key`."""
    return {name: f"{base_key}-{name}" for name in ("description", "response", "schema")}


def keyset_from_paused_state(state: State) -> Keyset:
    """The keyset of the question that a paused run asks. Raises ConfigurationError if the state is no pause."""
    if not state.is_paused():
        raise ConfigurationError(f"A run that is {state.name} asks for no input; only a paused one does")
    return keyset_from_base_key(f"{str(state.name).lower()}-{state.state_details.pause_key}")


class RunInputMetadata(BaseModel):
    """Where an input came from: its key, who sent it, the run that got it."""

    key: str
    sender: str | None = None
    receiver: UUID


class BaseRunInput(BaseModel):
    """What a run asks for. Users derive from `penstock.input.RunInput`, which can also be sent from run to run."""

    model_config = ConfigDict(extra="forbid")

    _description: ClassVar[str | None] = None
    _metadata: RunInputMetadata | None = None

    @property
    def metadata(self) -> RunInputMetadata:
        """Where this input came from. Raises ConfigurationError if it was not received."""
        if self._metadata is None:
            raise ConfigurationError(f"This {type(self).__name__} was made here: it was not received from anybody")
        return self._metadata

    @classmethod
    def keyset_from_type(cls) -> Keyset:
        """The keys under which inputs of this type are sent from run to run."""
        return keyset_from_base_key(cls.__name__.lower())

    @classmethod
    def with_initial_data(cls, description: str | None = None, **defaults: Any) -> type[Self]:
        """This type with a `description`, in Markdown, for whoever answers, and with other defaults.

        Raises ConfigurationError for a field that there is not.
        """
        unknown = [name for name in defaults if name not in cls.model_fields]
        if unknown:
            from penstock.errors import did_you_mean

            hint = did_you_mean(unknown[0], cls.model_fields)
            raise ConfigurationError(f"{cls.__name__} has no field {unknown[0]!r}.{hint}")
        fields: dict[str, Any] = {name: (cls.model_fields[name].annotation, value) for name, value in defaults.items()}
        made: type[Self] = create_model(cls.__name__, __base__=cls, **fields)
        if description is not None:
            made._description = description
        return made

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The input that was kept as `text`. Raises ParameterError that names what does not fit."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise ParameterError(f"The input does not fit {cls.__name__}: {where}: {first['msg']}") from error

    def unwrapped(self) -> Any:
        """What the flow gets."""
        return self


class AutomaticRunInput(BaseRunInput):
    """Input of a type that is no `RunInput`, such as int: its only field is `value`."""

    def unwrapped(self) -> Any:
        return self.value  # type: ignore[attr-defined]


def model_for(wanted: Any) -> type[BaseRunInput]:
    """The type of input for what a user has written: a RunInput, another model, or any other type.

    Raises ConfigurationError for what is no type.
    """
    if isinstance(wanted, type) and issubclass(wanted, BaseRunInput):
        return wanted
    if isinstance(wanted, type) and issubclass(wanted, BaseModel):
        return create_model(wanted.__name__, __base__=(BaseRunInput, wanted))  # type: ignore[arg-type]
    if isinstance(wanted, str | bytes | int | float | BaseRunInput) or wanted is None:
        raise ConfigurationError(
            f"wait_for_input is {wanted!r}; it must be a type", hint="Give a RunInput class, or a type such as str."
        )
    name = getattr(wanted, "__name__", str(wanted))
    return create_model(name, __base__=AutomaticRunInput, value=(wanted, ...))


def save_question(ask: Ask, flow_run_id: UUID, wanted: type[BaseRunInput], keyset: Keyset) -> None:
    """Keep schema and description for whoever answers."""
    _replace(ask, flow_run_id, keyset["schema"], json.dumps(wanted.model_json_schema()))
    if wanted._description is not None:
        _replace(ask, flow_run_id, keyset["description"], wanted._description)


def load_response(ask: Ask, flow_run_id: UUID, wanted: type[BaseRunInput], keyset: Keyset) -> Any:
    """The answer. Raises ParameterError if it does not fit after all, ConfigurationError if there is none."""
    try:
        text = ask(flow_run_inputs.read_flow_run_input(flow_run_id, keyset["response"]))
    except NotFound:
        raise ConfigurationError(
            "The run was resumed without the input that it waits for",
            hint="Resume it with penstock flow-run resume, the UI or resume_flow_run, not by setting its state.",
        ) from None
    found = wanted.from_json(text)
    found._metadata = RunInputMetadata(key=keyset["response"], receiver=flow_run_id)
    return found.unwrapped()


def _replace(ask: Ask, flow_run_id: UUID, key: str, value: str) -> None:
    try:
        ask(flow_run_inputs.create_flow_run_input(flow_run_id, key, value))
    except Conflict:
        if ask(flow_run_inputs.read_flow_run_input(flow_run_id, key)) != value:
            ask(flow_run_inputs.delete_flow_run_input(flow_run_id, key))
            ask(flow_run_inputs.create_flow_run_input(flow_run_id, key, value))
