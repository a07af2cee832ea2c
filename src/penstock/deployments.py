"""Deployments: `Deployment` and `run_deployment`, found lazily."""

from penstock.lazy import public_names

TYPE_CHECKING = False

if TYPE_CHECKING:
    from penstock.sdk.deployments import Deployment as Deployment
    from penstock.sdk.run_deployment import arun_deployment as arun_deployment
    from penstock.sdk.run_deployment import run_deployment as run_deployment

#: public name -> module that holds it
_PUBLIC = {
    "Deployment": "penstock.sdk.deployments",
    "arun_deployment": "penstock.sdk.run_deployment",
    "run_deployment": "penstock.sdk.run_deployment",
}

__all__ = list(_PUBLIC)
__getattr__, __dir__ = public_names(__name__, _PUBLIC)
