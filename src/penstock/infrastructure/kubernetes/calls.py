"""What is asked of the API server about one namespace, call by call. Nothing in here decides anything."""

from collections.abc import Mapping
from typing import Any

from penstock import clock
from penstock.infrastructure.kubernetes import reasons
from penstock.infrastructure.kubernetes.connection import MERGE_PATCH, TABLE, Connection, Refusal
from penstock.infrastructure.kubernetes.objects import END, JOB_LABEL, OWNER, STOPPING
from penstock.model.attempts import Exit

Object = dict[str, Any]


class Namespace:
    """One namespace of one cluster. Everything raises NotReachable, and Refusal where it is not said otherwise."""

    def __init__(self, connection: Connection, name: str, cluster: str) -> None:
        self.connection, self.name, self.cluster = connection, name, cluster
        self._jobs = f"/apis/batch/v1/namespaces/{name}/jobs"
        self._core = f"/api/v1/namespaces/{name}"

    async def job(self, name: str) -> Object | None:
        """The Job of that name, None if there is none."""
        return await self._get(f"{self._jobs}/{name}")

    async def create_job(self, job: Object) -> Object:
        return await self.connection.request("POST", self._jobs, body=job)

    async def try_job(self, job: Object) -> None:
        """What the server would say to `job`, without making it; from Kubernetes 1.25 on also to names that it would drop."""
        query = {"dryRun": "All", "fieldValidation": "Strict"}
        await self.connection.request("POST", self._jobs, body=job, query=query)

    async def halt_job(self, name: str, end: Exit | None) -> Object | None:
        """Let the Job make no more pods and end those that it has; None if it is gone.

        It is marked as being stopped, and with `end`, if that is known.
        """
        annotations = {STOPPING: clock.now().isoformat(timespec="seconds")}
        if end is not None:
            annotations[END] = end.model_dump_json(exclude_none=True)
        return await self._patch_job(name, {"metadata": {"annotations": annotations}, "spec": {"parallelism": 0}})

    async def mark_end(self, name: str, end: Exit) -> Object | None:
        """Write down on the Job how its run ended; None if it is gone."""
        return await self._patch_job(name, {"metadata": {"annotations": {END: end.model_dump_json(exclude_none=True)}}})

    async def delete_job(self, name: str) -> None:
        """The Job goes at once, its pods and its Secret follow. One that is gone already is fine."""
        await self._delete(f"{self._jobs}/{name}", {"propagationPolicy": "Background"})

    async def jobs_of(self, owner: str) -> list[Object]:
        return await self._list(self._jobs, {"labelSelector": f"{OWNER}={owner}"})

    async def pods(self, selector: str) -> list[Object]:
        return await self._list(f"{self._core}/pods", {"labelSelector": selector})

    async def pods_of(self, job_name: str) -> list[Object]:
        return await self.pods(f"{JOB_LABEL}={job_name}")

    async def delete_pod(self, name: str, seconds: int) -> None:
        """Ask the pod's node to end it within `seconds`. One that is gone already is fine."""
        await self._delete(f"{self._core}/pods/{name}", {"gracePeriodSeconds": seconds})

    async def hand_over_secret(self, secret: Object, job: Object) -> None:
        """Make the Secret that the Job's pod waits for, or take it over; it goes with the Job."""
        metadata = job["metadata"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        owned = {**secret, "metadata": {**secret["metadata"], "ownerReferences": [owner]}}
        try:
            await self.connection.request("POST", f"{self._core}/secrets", body=owned)
        except Refusal as error:
            if error.status != 409:
                raise
            # its answer was lost, or it is left of an earlier start: it is immutable, so only its owner can differ
            path = f"{self._core}/secrets/{secret['metadata']['name']}"
            patch = {"metadata": {"ownerReferences": [owner]}}
            await self.connection.request("PATCH", path, body=patch, content_type=MERGE_PATCH)

    def log_of(self, pod: Mapping[str, Any]) -> str:
        """The path of the pod's log."""
        return f"{self._core}/pods/{pod['metadata']['name']}/log"

    async def events(self, uid: str) -> dict[str, str]:
        """What the events about one object say, by their reason."""
        found = await self._list(f"{self._core}/events", {"fieldSelector": f"involvedObject.uid={uid}"})
        return reasons.words_of(found)

    async def itself(self) -> Object | None:
        """The namespace; None if there is none of that name."""
        return await self._get(self._core)

    async def account(self, name: str) -> Object | None:
        """The service account of that name, None if there is none."""
        return await self._get(f"{self._core}/serviceaccounts/{name}")

    async def secret_after(self, name: str, patch: Object) -> tuple[str, int] | None:
        """The type that a Secret would have after `patch`, and how many keys; None if there is none of that name.

        It is not changed, and nothing of what is in it is sent: whoever may hand Secrets over may ask this.
        """
        try:
            table = await self.connection.request(
                "PATCH",
                f"{self._core}/secrets/{name}",
                body=patch,
                query={"dryRun": "All", "includeObject": "None"},
                content_type=MERGE_PATCH,
                accept=TABLE,
            )
        except Refusal as error:
            if error.status == 404:
                return None
            raise
        columns = [column["name"] for column in table["columnDefinitions"]]
        row = dict(zip(columns, table["rows"][0]["cells"], strict=True))
        return str(row["Type"]), int(row["Data"])

    async def config_map(self, name: str) -> Object | None:
        """The ConfigMap of that name, None if there is none."""
        return await self._get(f"{self._core}/configmaps/{name}")

    async def quotas(self) -> list[Object]:
        return await self._list(f"{self._core}/resourcequotas", {})

    async def may(self, verb: str, group: str, resource: str) -> bool:
        """Whether the API server would let us do that here."""
        kind, _, part = resource.partition("/")
        wanted = {"namespace": self.name, "verb": verb, "group": group, "resource": kind, "subresource": part}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": wanted},
        }
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = await self.connection.request("POST", path, body=review)
        return bool((answer.get("status") or {}).get("allowed"))

    async def _get(self, path: str) -> Object | None:
        try:
            return await self.connection.request("GET", path)
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    async def _patch_job(self, name: str, patch: Object) -> Object | None:
        try:
            return await self.connection.request("PATCH", f"{self._jobs}/{name}", body=patch, content_type=MERGE_PATCH)
        except Refusal as error:
            if error.status == 404:
                return None
            raise

    async def _delete(self, path: str, options: Object) -> None:
        body = {"kind": "DeleteOptions", "apiVersion": "v1", **options}
        try:
            await self.connection.request("DELETE", path, body=body)
        except Refusal as error:
            if error.status != 404:
                raise

    async def _list(self, path: str, query: dict[str, str]) -> list[Object]:
        found: list[Object] = []
        page: dict[str, str] = {"limit": "500"}
        while True:
            answer = await self.connection.request("GET", path, query={**query, **page})
            found += answer.get("items") or []
            more = (answer.get("metadata") or {}).get("continue")
            if not more:
                return found
            page["continue"] = str(more)
