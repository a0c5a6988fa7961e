//! What of the settings the engine needs.

use std::time::Duration;

use crate::config::Settings;
use crate::engine::EngineOptions;

const DAY: i64 = 86_400;

pub fn engine_options(settings: &Settings) -> EngineOptions {
    EngineOptions {
        cache_bytes: settings.cache.bytes,
        revocation_max: settings.revocation_max as usize,
        login_floor: Duration::from_millis(settings.login_floor.into()),
        own_hosts: settings.surfaces.hosts(),
        events_kept: i64::from(settings.events.retention_days) * DAY,
        machine_events: settings.events.machine_tokens,
        explain_rate: settings.explain_rate,
        explain_keep: settings.explain_keep,
        explain_keep_rows: settings.explain_keep_rows,
        explain_memory: settings.explain_memory_kib as usize * 1024,
        ..EngineOptions::default()
    }
}
