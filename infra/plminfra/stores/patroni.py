"""Patroni's whole configuration as data. Settings and their reasons: docs/decisions/0005-postgres-settings.md."""

import json
from typing import Any

from plminfra import pods

PORT = 5432
REST_PORT = 8008
NAME = "postgres"
SCOPE = "pg"  # Patroni's name of the cluster: its Endpoints and our Services carry it


def render(is_synchronous: bool, superuser: str, replication: str, rewind: str) -> str:
    """The configuration file's text. JSON is YAML."""
    return json.dumps(configuration(is_synchronous, superuser, replication, rewind), indent=1)


def configuration(
    is_synchronous: bool, superuser: str, replication: str, rewind: str
) -> dict[str, Any]:
    """What Patroni reads. `is_synchronous`: strict; alone it would make every commit wait for ever."""
    return {
        "scope": SCOPE,
        "bootstrap": {
            "dcs": _dcs(is_synchronous),
            "initdb": [
                {"encoding": "UTF8"},
                "data-checksums",
                {"auth-local": "trust"},
                {"auth-host": "scram-sha-256"},
            ],
        },
        "kubernetes": {
            "use_endpoints": True,
            "scope_label": "cluster-name",
            "role_label": "role",
            "labels": pods.selector(NAME),
            "ports": [{"name": "postgresql", "port": PORT}],
        },
        # Anybody may ask how it is; to restart or change it is for members alone, whatever a network lets through.
        "restapi": {
            "listen": f"0.0.0.0:{REST_PORT}",
            "allowlist": ["127.0.0.1"],
            "allowlist_include_members": True,
        },
        "postgresql": _postgresql(superuser, replication, rewind),
        "watchdog": {"mode": "off"},
    }


def _dcs(is_synchronous: bool) -> dict[str, Any]:
    return {
        "ttl": 20,
        "loop_wait": 2,
        "retry_timeout": 5,
        "maximum_lag_on_failover": 1048576,
        "primary_start_timeout": 0,
        "primary_stop_timeout": 5,
        "synchronous_mode": is_synchronous,
        "synchronous_mode_strict": is_synchronous,
        "failsafe_mode": True,
        "postgresql": {
            "use_pg_rewind": True,
            "use_slots": True,
            "remove_data_directory_on_rewind_failure": True,
            "remove_data_directory_on_diverged_timelines": True,
            "parameters": {
                "max_connections": 60,
                "max_wal_senders": 8,
                "max_replication_slots": 8,
                "max_worker_processes": 4,
                "wal_level": "replica",
                "hot_standby": "on",
                "wal_log_hints": "on",
            },
        },
    }


def _postgresql(superuser: str, replication: str, rewind: str) -> dict[str, Any]:
    return {
        "listen": f"0.0.0.0:{PORT}",
        "data_dir": "/data/pg",
        "bin_dir": "/usr/lib/postgresql/15/bin",
        "pgpass": "/tmp/pgpass",  # noqa: S108 - a volume of the pod's own
        "use_unix_socket": True,
        "use_unix_socket_repl": True,
        "authentication": {
            "superuser": {"username": "postgres", "password": superuser},
            "replication": {"username": "repl", "password": replication},
            "rewind": {"username": "rewind", "password": rewind},
        },
        "basebackup": [{"checkpoint": "fast"}],
        "pg_hba": [
            "local all all trust",
            "local replication all trust",
            "host replication repl all scram-sha-256",
            "host all all all scram-sha-256",
        ],
        "parameters": _parameters(),
    }


def _parameters() -> dict[str, object]:
    return {
        "unix_socket_directories": "/tmp",  # noqa: S108 - a volume of the pod's own
        "shared_buffers": "32MB",
        "work_mem": "4MB",
        "maintenance_work_mem": "32MB",
        "jit": "off",
        "huge_pages": "off",
        "wal_keep_size": "128MB",
        "max_wal_size": "512MB",
        "min_wal_size": "64MB",
        "wal_receiver_timeout": "5s",
        "wal_sender_timeout": "5s",
        "tcp_keepalives_idle": 5,
        "tcp_keepalives_interval": 2,
        "tcp_keepalives_count": 3,
        "tcp_user_timeout": 8000,
        "autovacuum_max_workers": 1,
        "max_parallel_workers": 0,
        "max_logical_replication_workers": 0,
    }
