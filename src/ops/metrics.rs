//! Prometheus text exposition format, version 0.0.4.

use std::fmt::Write as _;

use crate::engine::Engine;
use crate::engine::counters::IssuedBy;
use crate::engine::signatures::SignedBy;

/// Every metric of this process.
pub fn text(engine: &Engine) -> String {
    let counters = engine.counters();
    let (explained, skipped) = engine.explanations_held();
    let mut out = String::with_capacity(2048);
    let counted = [
        ("grantd_tokens_granted_total", "Tokens granted.", counters.granted.get()),
        ("grantd_tokens_refused_total", "Token requests refused.", counters.refused.get()),
        ("grantd_tokens_faulted_total", "Token requests that failed on our side.", counters.faulted.get()),
        ("grantd_introspections_total", "Tokens introspected.", counters.introspected.get()),
        ("grantd_one_time_uses_total", "One-time tokens used.", counters.spent.get()),
        ("grantd_revocations_total", "Tokens revoked.", counters.revoked.get()),
        ("grantd_throttled_total", "Requests refused for too many failures.", counters.throttled.get()),
        ("grantd_sweeps_total", "Complete rounds of cleanup.", counters.sweeps.get()),
        ("grantd_hashes_total", "Password hashes computed.", engine.hashes_computed()),
        ("grantd_notes_dropped_total", "Notes of use that found no room.", engine.notes_dropped()),
        ("grantd_webhooks_delivered_total", "Events that webhooks took.", counters.webhooks_delivered.get()),
        ("grantd_webhooks_failed_total", "Tries to tell a webhook that failed.", counters.webhooks_failed.get()),
        ("grantd_webhooks_dead_total", "Events that a webhook was tried for in vain.", counters.webhooks_dead.get()),
        ("grantd_explanations_skipped_total", "Refusals whose explanation was not written.", skipped),
    ];
    for (name, help, value) in counted {
        metric(&mut out, name, "counter", help, value);
    }
    let name = "grantd_machine_tokens_total";
    let _infallible = writeln!(out, "# HELP {name} Tokens of machines, by grant.\n# TYPE {name} counter");
    for grant in IssuedBy::ALL {
        let _infallible = writeln!(out, "{name}{{grant=\"{}\"}} {}", grant.name(), counters.issued_by(grant).get());
    }
    let gauges = [
        ("grantd_revocations_held", "Live revocations in memory.", engine.revocations_held() as u64),
        (
            "grantd_revocations_overflowed",
            "1: the table is asked for the rest.",
            engine.revocations_overflowed().into(),
        ),
        (
            "grantd_sweep_age_seconds",
            "Time since the last complete round of cleanup, or since the start.",
            engine.sweep_age(),
        ),
        (
            "grantd_clock_skew_milliseconds",
            "Difference between the clocks of this machine and of the database.",
            engine.clock_skew(),
        ),
        ("grantd_explanation_bytes", "Bytes of explanations in memory.", explained),
        ("grantd_cache_bytes", "Bytes held by the caches.", engine.cache_bytes()),
        (
            "grantd_database_connections_abandoned",
            "Connections to the database that never answered and still hang.",
            engine.db().connections_abandoned() as u64,
        ),
        ("grantd_writes_waiting", "Writes that wait for the writer.", engine.db().writes_waiting() as u64),
        ("grantd_hashes_waiting", "Callers that wait for a hash.", engine.hashes_waiting() as u64),
        ("grantd_threads", "Threads of the process.", threads()),
        (
            "grantd_signing_keys_overdue",
            "Signing keys whose rotation is late by an hour.",
            engine.overdue_signing_keys(),
        ),
    ];
    for (name, help, value) in gauges {
        metric(&mut out, name, "gauge", help, value);
    }
    signatures(&mut out, engine);
    out
}

/// One line for each key that has signed in this process, up to a thousand; the others together.
fn signatures(out: &mut String, engine: &Engine) {
    let (keys, others) = engine.signatures();
    let name = "grantd_signatures_total";
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "# HELP {name} Tokens signed by each signing key.\n# TYPE {name} counter");
    for SignedBy { kid, alg, provider, signatures, age: _ } in &keys {
        let _infallible = writeln!(out, "{name}{{kid=\"{kid}\",alg=\"{alg}\",provider=\"{provider}\"}} {signatures}");
    }
    if others > 0 {
        let _infallible = writeln!(out, "{name}{{kid=\"others\",alg=\"\",provider=\"\"}} {others}");
    }
    let name = "grantd_signing_key_age_seconds";
    let _infallible = writeln!(out, "# HELP {name} How long each key that signs has done so.\n# TYPE {name} gauge");
    for SignedBy { kid, alg, provider, signatures: _, age } in &keys {
        if let Some(age) = age {
            let _infallible = writeln!(out, "{name}{{kid=\"{kid}\",alg=\"{alg}\",provider=\"{provider}\"}} {age}");
        }
    }
}

fn metric(out: &mut String, name: &str, kind: &str, help: &str, value: u64) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
}

/// Threads of this process, as Linux counts them; 0 elsewhere.
fn threads() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
