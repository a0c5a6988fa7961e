//! Issuers and domains of a provider as rows: one base, one primary, and a name that is proven once.

use diesel::connection::SimpleConnection as _;
use grantd::domain::{Decision, DomainId, Fault, ProviderDomain, ProviderId, UnixTime};
use grantd::store::cleanup::{self, Expired};
use grantd::store::issuers::Issuers;
use grantd::store::{Conn, Db, Tx, is_constraint, issuers, provider_domains, providers};

use crate::store::samples::{NOW, furnish, provider, signing_key};
use crate::support::app::count;
use crate::support::databases::{on_both, soon};

const BASE: &str = "https://p.example";
const OWN: &str = "https://login.example";

async fn write<T: Send + 'static>(
    db: &Db,
    mut job: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match db.write(soon(), move |tx| job(tx).map(Decision::Allow)).await? {
        Decision::Allow(value) => Ok(value),
        Decision::Refuse(refusal) => panic!("{refusal}"),
    }
}

async fn read<T: Send + 'static>(db: &Db, f: impl FnOnce(&mut Conn) -> Result<T, Fault> + Send + 'static) -> T {
    db.read(soon(), f).await.unwrap()
}

fn p() -> ProviderId {
    ProviderId::from("p")
}

async fn all(db: &Db) -> Issuers {
    read(db, |conn| issuers::of_provider(conn, &p())).await.unwrap()
}

async fn primary(db: &Db) -> String {
    read(db, |conn| issuers::primary(conn, &p())).await.unwrap()
}

fn domain(id: &str, provider: &str) -> ProviderDomain {
    ProviderDomain {
        id: DomainId::from(id),
        provider: ProviderId::from(provider),
        name: "login.example".to_owned(),
        challenge: "c".to_owned(),
        issuer: None,
        verified_at: None,
        is_primary: false,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
    }
}

on_both! {
    async fn the_base_moves_and_a_primary_domain_stays_primary(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await.unwrap();
        write(db, |tx| issuers::add(tx, &p(), OWN, NOW)).await.unwrap();
        assert_eq!(read(db, |conn| issuers::primary_domain(conn, &p())).await, None);
        write(db, |tx| issuers::make_primary(tx, &p(), OWN, NOW)).await.unwrap();
        assert_eq!(read(db, |conn| issuers::primary_domain(conn, &p())).await.as_deref(), Some(OWN));
        write(db, |tx| issuers::move_base(tx, &p(), "https://new.example", NOW)).await.unwrap();
        let now = all(db).await;
        assert_eq!((now.base.as_str(), primary(db).await.as_str()), ("https://new.example", OWN));
        assert_eq!(now.live, [OWN, "https://new.example", BASE], "the primary one first");
        write(db, |tx| issuers::make_primary(tx, &p(), "https://new.example", NOW)).await.unwrap();
        write(db, |tx| issuers::move_base(tx, &p(), BASE, NOW)).await.unwrap();
        assert_eq!((all(db).await.base.as_str(), primary(db).await.as_str()), (BASE, BASE), "and back");
        let row = read(db, |conn| providers::by_id(conn, &p())).await.unwrap();
        assert_eq!((row.issuer.as_str(), row.version), (BASE, 5), "each move raised the version");
    }

    async fn an_ended_issuer_is_free_and_remembered_and_base_and_primary_do_not_end(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await.unwrap();
        write(db, |tx| issuers::add(tx, &p(), OWN, NOW)).await.unwrap();
        write(db, |tx| issuers::make_primary(tx, &p(), OWN, NOW)).await.unwrap();
        for issuer in [OWN, BASE] {
            write(db, move |tx| issuers::end(tx, &p(), issuer, NOW)).await.unwrap();
        }
        assert!(all(db).await.former.is_empty());
        write(db, |tx| issuers::make_primary(tx, &p(), BASE, NOW)).await.unwrap();
        let q = provider("q");
        assert!(write(db, move |tx| providers::insert(tx, &q)).await.unwrap());
        let taken = write(db, |tx| issuers::add(tx, &"q".into(), OWN, NOW)).await.unwrap_err();
        assert!(is_constraint(&taken), "{taken}");
        write(db, |tx| issuers::end(tx, &p(), OWN, NOW)).await.unwrap();
        let now = all(db).await;
        assert_eq!((now.live, now.former), (vec![BASE.to_owned()], vec![OWN.to_owned()]));
        write(db, |tx| issuers::add(tx, &"q".into(), OWN, NOW)).await.unwrap();
        assert_eq!(read(db, |conn| providers::by_issuer(conn, OWN)).await, Some("q".into()));
    }

    async fn where_an_earlier_release_wrote_no_base_the_primary_one_is_it(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await.unwrap();
        write(db, |tx| Ok(tx.batch_execute("UPDATE provider_issuers SET is_base = (1 = 0)")?)).await.unwrap();
        assert_eq!(all(db).await.base, BASE);
        write(db, |tx| issuers::add(tx, &p(), OWN, NOW)).await.unwrap();
        write(db, |tx| issuers::make_primary(tx, &p(), OWN, NOW)).await.unwrap();
        assert_eq!((all(db).await.base.as_str(), primary(db).await.as_str()), (BASE, OWN));
    }

    async fn a_name_is_proven_by_one_and_added_by_many(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await.unwrap();
        let q = provider("q");
        assert!(write(db, move |tx| providers::insert(tx, &q)).await.unwrap());
        for (id, owner) in [("d1", "p"), ("d2", "q")] {
            write(db, move |tx| provider_domains::insert(tx, &domain(id, owner))).await.unwrap();
        }
        let again = write(db, |tx| provider_domains::insert(tx, &domain("d3", "p"))).await.unwrap_err();
        assert!(is_constraint(&again), "{again}");
        assert_eq!(read(db, |conn| provider_domains::get(conn, &p(), &"d1".into())).await, Some(domain("d1", "p")));
        assert_eq!(read(db, |conn| provider_domains::get(conn, &p(), &"d2".into())).await, None, "another provider's");
        assert!(write(db, |tx| provider_domains::verify(tx, &"d1".into(), OWN, NOW)).await.unwrap());
        assert!(!write(db, |tx| provider_domains::verify(tx, &"d1".into(), OWN, NOW)).await.unwrap(), "once");
        let second = write(db, |tx| provider_domains::verify(tx, &"d2".into(), OWN, NOW)).await.unwrap_err();
        assert!(is_constraint(&second), "{second}");
        assert!(write(db, |tx| provider_domains::soft_delete(tx, &"d1".into(), NOW)).await.unwrap());
        assert!(!write(db, |tx| provider_domains::soft_delete(tx, &"d1".into(), NOW)).await.unwrap());
        assert!(write(db, |tx| provider_domains::verify(tx, &"d2".into(), OWN, NOW)).await.unwrap());
        let served = read(db, provider_domains::served).await;
        assert_eq!(served.iter().map(|one| (&*one.name, one.provider.as_str())).collect::<Vec<_>>(), [("login.example", "slug-q")]);
        assert_eq!(write(db, |tx| provider_domains::end_of_provider(tx, &"q".into(), NOW)).await.unwrap(), 1);
        assert!(read(db, provider_domains::served).await.is_empty());
    }

    async fn an_ended_issuer_is_swept_when_no_token_of_it_can_live(test: TestDb) {
        use grantd::domain::key::KeyState;
        use grantd::store::signing_keys;
        const LIFETIME: i64 = 5_000_000;
        // A leeway beyond, and a day.
        const LAST: i64 = NOW + LIFETIME + 86_400 + 60;
        let db = test.db();
        let key_with = |kid, max_lifetime| {
            let mut key = signing_key(kid, KeyState::Active);
            key.max_lifetime = max_lifetime;
            key
        };
        write(db, move |tx| {
            furnish(tx)?;
            // The lifetime that is allowed now is not the one that was.
            assert!(signing_keys::insert_active_if_none(tx, key_with("k", LIFETIME))?);
            issuers::add(tx, &p(), OWN, NOW)?;
            issuers::add(tx, &p(), "https://live.example", NOW)?;
            issuers::end(tx, &p(), OWN, NOW)?;
            let q = provider("q");
            assert!(providers::insert(tx, &q)?);
            providers::soft_delete(tx, &q.id, None, true, NOW)?;
            Ok(())
        })
        .await
        .unwrap();
        let sweep = async |now| {
            let now = UnixTime::from_seconds(now);
            db.write_background(soon(), move |tx| cleanup::sweep(tx, Expired::EndedIssuers, now, 10)).await.unwrap()
        };
        assert_eq!(sweep(LAST - 1).await, 0);
        assert!(read(db, |conn| issuers::is_or_was_ours(conn, OWN)).await);
        assert_eq!(sweep(LAST).await, 1);
        assert!(!read(db, |conn| issuers::is_or_was_ours(conn, OWN)).await);
        let left = all(db).await;
        assert_eq!((left.live.len(), left.former.len()), (2, 0), "base and live ones stay: {left:?}");
        assert_eq!(read(db, |conn| issuers::base(conn, &"q".into())).await.as_deref(), Some("https://q.example"), "so does the base of a deleted provider");
        assert_eq!(sweep(LAST + LIFETIME).await, 0);
    }

    async fn a_deleted_domain_is_swept_after_thirty_days_and_a_live_one_never(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            furnish(tx)?;
            provider_domains::insert(tx, &domain("d1", "p"))?;
            provider_domains::soft_delete(tx, &"d1".into(), NOW)?;
            provider_domains::insert(tx, &domain("d2", "p"))
        })
        .await
        .unwrap();
        let last = NOW + 30 * 86_400 + 60;
        let swept = async |now| cleanup::tick(db, UnixTime::from_seconds(now), soon()).await.unwrap();
        assert_eq!(swept(last - 1).await, 0);
        assert_eq!(swept(last).await, 1);
        assert_eq!(read(db, |conn| count(conn, "provider_domains")).await, 1);
        assert!(read(db, |conn| provider_domains::get(conn, &p(), &"d2".into())).await.is_some());
    }
}
