"""The loops that run beside the API. Each does one operation, again and again."""

from penstock.server.database.connection import Database
from penstock.server.services.base import Service


def all_services(database: Database) -> list[Service]:
    """The services that this server runs, not started yet."""
    from penstock import settings
    from penstock.server.services.cleanup import CleanupService
    from penstock.server.services.foreman import ForemanService
    from penstock.server.services.late_runs import LateRunsService
    from penstock.server.services.limits import LimitsService
    from penstock.server.services.lost_runs import LostRunsService
    from penstock.server.services.notifications import NotificationsService
    from penstock.server.services.pause_expirations import PauseExpirationsService
    from penstock.server.services.scheduler import SchedulerService

    services: list[Service] = [
        LimitsService(database),
        LostRunsService(database),
        PauseExpirationsService(database),
        ForemanService(database),
        CleanupService(database),
    ]
    if settings.get("PENSTOCK_API_SERVICES_SCHEDULER_ENABLED"):
        services.append(SchedulerService(database))
    if settings.get("PENSTOCK_API_SERVICES_LATE_RUNS_ENABLED"):
        services.append(LateRunsService(database))
    if settings.get("PENSTOCK_API_SERVICES_FLOW_RUN_NOTIFICATIONS_ENABLED"):
        services.append(NotificationsService(database))
    return services
