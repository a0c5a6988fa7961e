//! Rows and domain values: everything that is written reads back, and what ended stays ended.

use grantd::domain::event::Event;
use grantd::domain::key::DataKeyPurpose;
use grantd::domain::page::PageRequest;
use grantd::domain::secret::StoredSecret;
use grantd::domain::{ApiKeyId, ClientId, Decision, Fault, ProviderId, Role, UnixTime};
use grantd::store::providers::Deletion;
use grantd::store::usage::{self, Usage, UsageKind};
use grantd::store::{
    ChangedTable, Conn, Db, Tx, api_key_secrets, api_keys, client_secrets, clients, data_keys, events, issuers, meta,
    providers, scopes, signing_keys,
};

use crate::store::samples::{NOW, api_key, client, data_key, digest, furnish, provider, secret, signing_key};
use crate::support::databases::{on_both, soon};

async fn write<T: Send + 'static>(db: &Db, mut job: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static) -> T {
    match db.write(soon(), move |tx| job(tx).map(Decision::Allow)).await.unwrap() {
        Decision::Allow(value) => value,
        Decision::Refuse(refusal) => panic!("{refusal}"),
    }
}

async fn read<T: Send + 'static>(db: &Db, f: impl FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static) -> T {
    db.read(soon(), f).await.unwrap()
}

fn p() -> ProviderId {
    ProviderId::from("p")
}

fn c() -> ClientId {
    ClientId::from("c")
}

on_both! {
    async fn a_provider_reads_back_and_changes_only_at_its_version(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        assert_eq!(read(db, |conn| providers::by_id(conn, &p())).await, Some(provider("p")));
        assert_eq!(read(db, |conn| providers::by_slug(conn, "slug-p")).await, Some(provider("p")));
        let mut changed = provider("p");
        changed.name = "New".to_owned();
        changed.default_audience = None;
        changed.surfaces.clear();
        changed.strict_scopes = false;
        changed.ttls.max = 99;
        changed.updated_at = NOW + 50;
        let given = changed.clone();
        assert!(write(db, move |tx| providers::update(tx, &given, 1)).await);
        let given = changed.clone();
        assert!(!write(db, move |tx| providers::update(tx, &given, 1)).await, "version 1 is gone");
        changed.version = 2;
        assert_eq!(read(db, |conn| providers::by_id(conn, &p())).await, Some(changed));
        assert!(write(db, |tx| providers::raise_epoch(tx, &p())).await);
        let raised = read(db, |conn| providers::by_id(conn, &p())).await.unwrap();
        assert_eq!((raised.epoch, raised.version), (10, 3));
    }

    async fn a_deleted_provider_keeps_its_slug_and_frees_its_issuer(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let gone = |version| move |tx: &mut Tx<'_>| providers::soft_delete(tx, &p(), version, false, NOW);
        assert_eq!(write(db, gone(None)).await, Deletion::HasClients);
        assert!(write(db, |tx| clients::soft_delete(tx, &p(), &c(), None, NOW)).await);
        assert_eq!(write(db, gone(Some(9))).await, Deletion::NotCurrent);
        assert_eq!(write(db, gone(Some(1))).await, Deletion::Done);
        assert_eq!(write(db, gone(None)).await, Deletion::NotCurrent);
        let row = read(db, |conn| providers::by_slug(conn, "slug-p")).await.unwrap();
        assert_eq!((row.deleted_at, row.epoch, row.issuer.as_str()), (Some(NOW), 10, "https://p.example"));
        assert!(read(db, |conn| providers::list(conn, &PageRequest::first(10))).await.items.is_empty());
        assert_eq!(read(db, |conn| providers::by_issuer(conn, "https://p.example")).await, None);
        let mut heir = provider("heir");
        heir.issuer = "https://p.example".to_owned();
        heir.slug = "slug-p".to_owned();
        let same_slug = heir.clone();
        assert!(!write(db, move |tx| providers::insert(tx, &same_slug)).await, "a slug is never reused");
        heir.slug = "heir".to_owned();
        assert!(write(db, move |tx| providers::insert(tx, &heir)).await);
        assert!(!write(db, |tx| clients::insert(tx, client("p", "late"))).await);
    }

    async fn the_issuer_before_still_verifies_after_another_is_primary(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        write(db, |tx| issuers::move_base(tx, &p(), "https://new.example", NOW)).await;
        assert_eq!(read(db, |conn| providers::by_id(conn, &p())).await.unwrap().issuer, "https://new.example");
        let all = read(db, |conn| issuers::of_provider(conn, &p())).await.unwrap();
        assert_eq!((all.base.as_str(), all.former.len()), ("https://new.example", 0));
        assert_eq!(all.live, ["https://new.example", "https://p.example"]);
        write(db, |tx| issuers::move_base(tx, &p(), "https://p.example", NOW)).await;
        assert_eq!(read(db, |conn| issuers::primary(conn, &p())).await.as_deref(), Some("https://p.example"));
        assert_eq!(read(db, |conn| providers::by_issuer(conn, "https://new.example")).await, Some(p()));
        let mut thief = provider("thief");
        thief.issuer = "https://new.example".to_owned();
        assert!(!write(db, move |tx| providers::insert(tx, &thief)).await);
    }

    async fn a_client_reads_back_and_a_cleared_field_is_cleared(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        assert_eq!(read(db, |conn| clients::get(conn, &p(), &c())).await, Some(client("p", "c")));
        let mut plain = client("p", "c");
        (plain.auth_signing_alg, plain.jwks, plain.access_token_ttl, plain.only_surface) = (None, None, None, None);
        plain.grant_types.clear();
        plain.resource_server = false;
        plain.enabled = false;
        plain.epoch += 1;
        let given = plain.clone();
        assert!(write(db, move |tx| clients::update(tx, given.clone(), 1)).await);
        plain.version = 2;
        assert_eq!(read(db, |conn| clients::get(conn, &p(), &c())).await, Some(plain));
        assert!(write(db, |tx| clients::raise_epoch(tx, &p(), &c())).await);
        let raised = read(db, |conn| clients::get(conn, &p(), &c())).await.unwrap();
        assert_eq!((raised.epoch, raised.version), (5, 3));
    }

    async fn the_ids_and_subjects_of_clients_are_never_given_out_twice(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        assert!(!write(db, |tx| clients::insert(tx, client("p", "c"))).await);
        let mut twin = client("p", "twin");
        twin.subject = "sub-c".to_owned();
        assert!(!write(db, move |tx| clients::insert(tx, twin.clone())).await);
        assert!(write(db, |tx| clients::soft_delete(tx, &p(), &c(), Some(1), NOW)).await);
        assert!(!write(db, |tx| clients::soft_delete(tx, &p(), &c(), None, NOW)).await);
        assert!(!write(db, |tx| clients::insert(tx, client("p", "c"))).await);
        let row = read(db, |conn| clients::get(conn, &p(), &c())).await.unwrap();
        assert_eq!((row.deleted_at, row.epoch, row.version), (Some(NOW), 4, 2));
        assert!(!write(db, |tx| clients::update(tx, client("p", "c"), 2)).await);
        assert!(!write(db, |tx| clients::insert(tx, client("nowhere", "c"))).await);
    }

    async fn pages_of_clients_follow_each_other_without_gaps(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        write(db, |tx| {
            for id in ["a", "b", "d", "e"] {
                assert!(clients::insert(tx, client("p", id))?);
            }
            clients::soft_delete(tx, &p(), &ClientId::from("b"), None, NOW)
        }).await;
        let mut seen = Vec::new();
        let mut page = PageRequest::first(2);
        loop {
            let asked = page.clone();
            let part = read(db, move |conn| clients::list(conn, &p(), &asked)).await;
            assert!(part.items.len() <= 2);
            seen.extend(part.items.iter().map(|client| client.client_id.to_string()));
            match part.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        assert_eq!(seen, ["a", "c", "d", "e"]);
    }

    async fn secrets_read_back_with_when_they_were_used(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let mut chosen = secret("s2");
        chosen.stored = StoredSecret::Argon2("$argon2id$v=19$m=8,t=1,p=1$c2FsdA$aGFzaA".to_owned());
        chosen.expires_at = None;
        let given = chosen.clone();
        write(db, move |tx| {
            assert!(client_secrets::insert_below(tx, &p(), &c(), &secret("s1"), 8, NOW)?);
            assert!(client_secrets::insert_below(tx, &p(), &c(), &given, 8, NOW)?);
            usage::add(tx, UsageKind::ClientSecret, "s2", Usage { last_used_at: Some(NOW + 5), ..Usage::default() })
        }).await;
        chosen.last_used_at = Some(NOW + 5);
        assert_eq!(read(db, |conn| client_secrets::list(conn, &p(), &c())).await, [secret("s1"), chosen]);
        let live = read(db, |conn| client_secrets::live(conn, &p(), &c(), NOW + 100)).await;
        assert_eq!(live.iter().map(|secret| secret.id.as_str()).collect::<Vec<_>>(), ["s2"]);
    }

    async fn an_api_key_is_found_by_digest_and_id(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        assert!(!read(db, api_keys::has_any).await);
        write(db, |tx| {
            let mut bound = api_key("k2", Role::Member);
            bound.provider = Some(p());
            (bound.scope, bound.max_ttl, bound.expires_at) = (None, None, None);
            assert!(api_keys::insert(tx, &api_key("k1", Role::Owner), &digest("k1"))?);
            assert!(api_keys::insert(tx, &bound, &digest("k2"))?);
            assert!(!api_keys::insert(tx, &api_key("k3", Role::Owner), &digest("k1"))?, "the digest is taken");
            usage::add(tx, UsageKind::ApiKey, "k1", Usage { last_used_at: Some(NOW), ..Usage::default() })
        }).await;
        assert!(read(db, api_keys::has_any).await);
        // The first secret has the key's own id.
        let first = Some(("k1".into(), "k1".into()));
        assert_eq!(read(db, |conn| api_key_secrets::by_digest(conn, &digest("k1"))).await, first);
        let mut other_pepper = digest("k1");
        other_pepper.pepper_id = "p2".to_owned();
        assert_eq!(read(db, move |conn| api_key_secrets::by_digest(conn, &other_pepper)).await, None);
        let k1 = read(db, |conn| api_keys::by_id(conn, &ApiKeyId::from("k1"))).await.unwrap();
        assert_eq!(k1.last_used_at, Some(NOW));
        let of_p = read(db, |conn| api_keys::list(conn, Some(&p()), &PageRequest::first(9))).await;
        assert_eq!(of_p.items.iter().map(|key| key.id.as_str()).collect::<Vec<_>>(), ["k2"]);
        let all = read(db, |conn| api_keys::list(conn, None, &PageRequest::first(9))).await;
        assert_eq!(all.items.len(), 2);
        assert!(write(db, |tx| api_keys::raise_epoch(tx, &ApiKeyId::from("k1"))).await);
        assert_eq!(read(db, |conn| api_keys::by_id(conn, &ApiKeyId::from("k1"))).await.unwrap().epoch, 3);
    }

    async fn keys_scopes_facts_and_events_read_back(test: TestDb) {
        use grantd::domain::key::KeyState;
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let event = Event {
            id: "e1".to_owned(), at: NOW * 1000 + 7, provider: Some(p()), actor: "cli".to_owned(),
            action: "client.created", target: "c".to_owned(), request_id: "r".to_owned(), details: "{}".to_owned(),
        };
        write(db, move |tx| {
            assert!(signing_keys::insert_next(tx, signing_key("k", KeyState::Next))?);
            assert_eq!(signing_keys::raise_max_lifetime(tx, &p(), 7200)?, 1);
            assert_eq!(signing_keys::raise_max_lifetime(tx, &p(), 60)?, 0);
            assert_eq!(scopes::insert_missing(tx, &p(), &["b", "a", "b"], NOW)?, 2);
            assert_eq!(scopes::insert_missing(tx, &p(), &["a", "c"], NOW)?, 1);
            meta::set(tx, "k", "1")?;
            meta::set(tx, "k", "2")?;
            assert!(!meta::insert_if_absent(tx, "k", "3")?);
            assert!(data_keys::reseal(tx, "p1", &[1, 2, 3], &[4])?);
            assert!(!data_keys::reseal(tx, "p1", &[1, 2, 3], &[5])?);
            tx.changed(ChangedTable::Providers, "p", UnixTime::from_seconds(NOW))?;
            events::insert(tx, &event)
        }).await;
        let mut key = signing_key("k", KeyState::Next);
        key.max_lifetime = 7200;
        let read_back = read(db, |conn| signing_keys::list(conn, &p())).await;
        assert_eq!(format!("{read_back:?}"), format!("{:?}", [key]));
        assert_eq!(read(db, |conn| scopes::list(conn, &p())).await, ["a", "b", "c"]);
        let existing = read(db, |conn| scopes::existing(conn, &p(), &["a", "z"])).await;
        assert_eq!(existing.into_iter().collect::<Vec<_>>(), ["a"]);
        assert_eq!(read(db, |conn| meta::get(conn, "k")).await.as_deref(), Some("2"));
        let mut pepper = data_key("p1", DataKeyPurpose::Pepper);
        pepper.sealed = vec![4];
        assert_eq!(read(db, data_keys::all).await, [data_key("k1", DataKeyPurpose::SigningKeys), pepper]);
        let events = read(db, |conn| events::newest(conn, 5)).await;
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].at, events[0].provider.as_ref().map(|id| id.as_str())), (NOW * 1000 + 7, Some("p")));
        assert_eq!((events[0].action.as_str(), events[0].details.as_str()), ("client.created", "{}"));
    }
}
