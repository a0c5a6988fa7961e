//! Domains over several nodes: the map of hosts follows the change log.

use std::cell::Cell;

use futures_util::future::join;
use grantd::domain::page::{DomainFilter, ListRequest, PageRequest};
use grantd::store::{Conn, provider_domains};
use serde_json::json;

use super::{added, deleted, fresh_name, issuer_at, made_primary, proven, publish, text, verify};
use crate::support::app::{ISSUER, on_both_apps};
use crate::support::databases::soon;
use crate::support::jose::decoded;

/// A list of all domains.
fn every() -> ListRequest<DomainFilter> {
    ListRequest { limit: 9, sort: "created_at", descending: false, after: None, filter: DomainFilter::default() }
}

on_both_apps! {
    async fn what_one_node_verifies_or_ends_every_other_learns_with_its_next_poll(app: TestApp) {
        app.provider("acme", json!({})).await;
        let other = app.second_node().await;
        let name = fresh_name();
        // Both nodes hold the provider in memory before anything changes.
        let client = app.client_of("acme", json!({})).await;
        other.token_at("/p/acme", &client).await;
        let domain = added(&app, "acme", &name).await;
        publish(&domain);
        assert_eq!(verify(&app, "acme", &domain).await.json()["verified"], json!(true));
        assert_eq!(issuer_at(&app, &name).await, Ok(format!("https://{name}")), "here at once");
        other.poll().await;
        assert_eq!(issuer_at(&other, &name).await, Ok(format!("https://{name}")));
        made_primary(&app, "acme", &domain, true).await;
        other.poll().await;
        assert_eq!(decoded(&other.token_at("/p/acme", &client).await).1["iss"], json!(format!("https://{name}")));
        made_primary(&other, "acme", &domain, false).await;
        deleted(&other, "acme", &domain).await;
        assert_eq!(issuer_at(&other, &name).await.as_deref(), Ok(ISSUER), "there at once");
        app.poll().await;
        assert_eq!(issuer_at(&app, &name).await.as_deref(), Ok(ISSUER));
    }

    async fn a_node_that_starts_knows_every_domain_and_one_that_ends_with_its_provider_is_gone(app: TestApp) {
        app.provider("acme", json!({})).await;
        let (name, kept) = (fresh_name(), fresh_name());
        proven(&app, "acme", &name).await;
        proven(&app, "default", &kept).await;
        added(&app, "default", "unproven.example").await;
        let other = app.second_node().await;
        assert_eq!(issuer_at(&other, &name).await, Ok(format!("https://{name}")));
        assert_eq!(issuer_at(&other, "unproven.example").await.as_deref(), Ok(ISSUER));
        assert_eq!(app.admin("DELETE", "/providers/acme").send().await.status, 204);
        other.poll().await;
        assert_eq!(issuer_at(&other, &name).await.as_deref(), Ok(ISSUER));
        assert_eq!(issuer_at(&other, &kept).await, Ok(format!("https://{kept}")));
    }

    async fn a_poll_without_a_change_of_domains_reads_no_domains(app: TestApp) {
        let name = fresh_name();
        let domain = proven(&app, "default", &name).await;
        let other = app.second_node().await;
        assert_eq!(issuer_at(&other, &name).await, Ok(format!("https://{name}")));
        // Behind the back of the log: whoever reads the table now would notice.
        let id = text(&domain, "id").to_owned();
        let hide = move |conn: &mut grantd::store::Tx<'_>| {
            let sql = format!("UPDATE provider_domains SET deleted_at = 1 WHERE id = '{id}'");
            diesel::connection::SimpleConnection::batch_execute(&mut **conn, &sql)?;
            Ok(grantd::domain::Decision::Allow(()))
        };
        app.engine.db().write(crate::support::databases::soon(), hide).await.unwrap();
        app.client(json!({})).await;
        other.poll().await;
        assert_eq!(issuer_at(&other, &name).await, Ok(format!("https://{name}")));
        proven(&app, "default", &fresh_name()).await;
        other.poll().await;
        assert_eq!(issuer_at(&other, &name).await.as_deref(), Ok(ISSUER));
    }

    async fn what_is_read_of_a_domain_is_of_one_moment(app: TestApp) {
        let domain = proven(&app, "default", &fresh_name()).await;
        let provider = app.admin("GET", "/providers/default").send().await.json();
        let (provider, id) = (text(&provider, "id").to_owned(), text(&domain, "id").to_owned());
        let read = move |conn: &mut Conn| {
            let provider = provider.as_str().into();
            let mut found = Vec::new();
            for _ in 0..20 {
                found.extend(provider_domains::get(conn, &provider, &id.as_str().into())?);
                found.extend(provider_domains::list(conn, &provider, &PageRequest::first(9))?.items);
                found.extend(provider_domains::find(conn, &provider, &every())?.items);
            }
            Ok(found)
        };
        let begin = app.engine.db().read(soon(), read.clone()).await.unwrap()[0].version;
        let over = Cell::new(false);
        let switches = async {
            for number in 0..60 {
                made_primary(&app, "default", &domain, number % 2 == 0).await;
            }
            over.set(true);
        };
        let reads = async {
            let mut seen = 0;
            while !over.get() {
                for found in app.engine.db().read(soon(), read.clone()).await.unwrap() {
                    // Each switch raises the version by one.
                    assert_eq!(found.is_primary, (found.version - begin) % 2 == 1, "version {}", found.version);
                    seen += 1;
                }
            }
            seen
        };
        let ((), seen) = join(switches, reads).await;
        assert!(seen > 100, "{seen}");
    }
}
