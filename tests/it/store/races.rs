//! Guarded statements under parallel callers, on both databases: one winner, no count too many.

use futures_util::future::join_all;
use grantd::domain::key::KeyState;
use grantd::domain::token::{Jti, Revocation, RevokedKind};
use grantd::domain::{ApiKeyId, ClientId, Decision, Fault, ProviderId, Role, SigningAlg, UnixTime};
use grantd::store::api_keys::Change;
use grantd::store::providers::Deletion;
use grantd::store::spent_tokens::{self, Use};
use grantd::store::{
    Db, Tx, api_keys, assertion_jtis, client_secrets, clients, meta, providers, revoked, signing_keys,
};

use crate::store::samples::{NOW, api_key, client, digest, furnish, furnish_with_owner, secret, signing_key};
use crate::support::databases::{on_both, soon};

async fn write<T: Send + 'static>(db: &Db, mut job: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static) -> T {
    match db.write(soon(), move |tx| job(tx).map(Decision::Allow)).await.unwrap() {
        Decision::Allow(value) => value,
        Decision::Refuse(refusal) => panic!("{refusal}"),
    }
}

fn wins(outcomes: impl IntoIterator<Item = bool>) -> usize {
    outcomes.into_iter().filter(|won| *won).count()
}

fn p() -> ProviderId {
    ProviderId::from("p")
}

fn c() -> ClientId {
    ClientId::from("c")
}

on_both! {
    async fn an_assertion_is_redeemed_by_exactly_one_of_many(test: TestDb) {
        let db = test.db();
        for round in 0..10 {
            let redeem = |_| db.write_one(soon(), move |conn| {
                assertion_jtis::redeem(conn, &p(), &c(), &format!("jti-{round}"), NOW)
            });
            let outcomes = join_all((0..16).map(redeem)).await;
            assert_eq!(wins(outcomes.into_iter().map(Result::unwrap)), 1);
        }
        // The same id of another client is another assertion.
        let other = db.write_one(soon(), |conn| {
            assertion_jtis::redeem(conn, &p(), &ClientId::from("d"), "jti-0", NOW)
        }).await;
        assert!(other.unwrap());
    }

    async fn a_token_is_spent_by_exactly_one_of_many_uses(test: TestDb) {
        let db = test.db();
        let now = UnixTime::from_seconds(NOW);
        let spent = |round: u8, key: Option<String>| Use { provider: p(), jti: Jti([round; 16]), key, expires_at: NOW };
        for round in 0..10 {
            let spend = |caller: usize| {
                // Every other use names itself; none as another does.
                let spent = spent(round, caller.is_multiple_of(2).then(|| format!("caller {caller}")));
                db.write_one(soon(), move |conn| spent_tokens::spend(conn, &spent, now))
            };
            let outcomes = join_all((0..16).map(spend)).await;
            assert_eq!(wins(outcomes.into_iter().map(Result::unwrap)), 1);
        }
        // The same use may be repeated, by anybody who names it so, within ten seconds.
        let again = |after: i64| {
            let (spent, now) = (spent(99, Some("u".to_owned())), UnixTime::from_millis(NOW * 1000 + after));
            db.write_one(soon(), move |conn| spent_tokens::spend(conn, &spent, now))
        };
        let same = join_all((0..16).map(|_| again(0))).await;
        assert_eq!(wins(same.into_iter().map(Result::unwrap)), 16);
        assert!(again(9_999).await.unwrap());
        assert!(!again(10_000).await.unwrap(), "a repetition does not prolong it");
    }

    async fn no_client_gets_more_live_secrets_than_allowed(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        for round in 0..10 {
            let id = format!("c{round}");
            write(db, { let id = id.clone(); move |tx| clients::insert(tx, client("p", &id)) }).await;
            let insert = |number| {
                let id = id.clone();
                write(db, move |tx| {
                    let secret = secret(&format!("{id}-{number}"));
                    client_secrets::insert_below(tx, &p(), &ClientId::from(id.as_str()), &secret, 3, NOW)
                })
            };
            assert_eq!(wins(join_all((0..8).map(insert)).await), 3);
            let client_id = ClientId::from(id.as_str());
            let live = db.read(soon(), move |conn| client_secrets::live(conn, &p(), &client_id, NOW)).await.unwrap();
            assert_eq!(live.len(), 3);
        }
    }

    async fn a_revoked_or_expired_secret_makes_room(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let insert = async |id: &'static str, now| {
            write(db, move |tx| client_secrets::insert_below(tx, &p(), &c(), &secret(id), 1, now)).await
        };
        assert!(insert("s1", NOW).await);
        assert!(!insert("s2", NOW + 99).await);
        assert!(insert("s2", NOW + 100).await, "the first one has expired");
        assert!(write(db, |tx| client_secrets::revoke(tx, &p(), &c(), &"s2".into(), NOW)).await);
        assert!(!write(db, |tx| client_secrets::revoke(tx, &p(), &c(), &"s2".into(), NOW)).await);
        assert!(insert("s3", NOW + 100).await);
        assert!(write(db, |tx| clients::soft_delete(tx, &p(), &c(), None, NOW)).await);
        assert!(!insert("s4", NOW + 1000).await, "a deleted client gets none");
    }

    async fn the_last_owner_key_survives_owners_that_end_each_other(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        for round in 0..10 {
            let ids = [format!("a{round}"), format!("b{round}")];
            write(db, {
                let ids = ids.clone();
                move |tx| ids.iter().try_for_each(|id| furnish_with_owner(tx, id))
            }).await;
            let end = |id: &String| {
                let id = ApiKeyId::from(id.as_str());
                write(db, move |tx| api_keys::soft_delete(tx, &id, None, NOW))
            };
            let outcomes = join_all(ids.iter().map(end)).await;
            let done = outcomes.iter().filter(|outcome| **outcome == Change::Done).count();
            assert_eq!(done, 1, "{outcomes:?}");
            assert!(outcomes.contains(&Change::LastOwner), "{outcomes:?}");
            // Out of the way of the next round, past the guard.
            let rest = if outcomes[0] == Change::Done { &ids[1] } else { &ids[0] };
            let sql = format!("UPDATE api_keys SET deleted_at = 1 WHERE id = '{rest}'");
            write(db, move |tx| Ok(diesel::connection::SimpleConnection::batch_execute(&mut **tx, &sql)?)).await;
        }
    }

    async fn the_last_owner_key_can_neither_be_demoted_nor_expire(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        write(db, |tx| furnish_with_owner(tx, "only")).await;
        let demoted = api_key("only", Role::Admin);
        assert_eq!(write(db, move |tx| api_keys::update(tx, &demoted, 1, NOW)).await, Change::LastOwner);
        let mut ended = api_key("only", Role::Owner);
        ended.expires_at = Some(NOW);
        assert_eq!(write(db, move |tx| api_keys::update(tx, &ended, 1, NOW)).await, Change::LastOwner);
        // An owner of one provider does not replace the owner of everything.
        write(db, |tx| {
            let mut bound = api_key("bound", Role::Owner);
            bound.provider = Some(p());
            api_keys::insert(tx, &bound, &digest("bound"))
        }).await;
        assert_eq!(write(db, |tx| api_keys::soft_delete(tx, &"only".into(), None, NOW)).await, Change::LastOwner);
        assert_eq!(write(db, |tx| api_keys::soft_delete(tx, &"bound".into(), Some(7), NOW)).await, Change::NotCurrent);
        assert_eq!(write(db, |tx| api_keys::soft_delete(tx, &"bound".into(), Some(1), NOW)).await, Change::Done);
        let mut renamed = api_key("only", Role::Owner);
        renamed.name = "still".to_owned();
        assert_eq!(write(db, move |tx| api_keys::update(tx, &renamed, 1, NOW)).await, Change::Done);
    }

    async fn of_parallel_updates_of_one_version_one_is_written(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        for version in 1..=5 {
            let update = |number: u32| write(db, move |tx| {
                let mut changed = client("p", "c");
                changed.name = format!("name {number}");
                clients::update(tx, changed, version)
            });
            assert_eq!(wins(join_all((0..8).map(update)).await), 1);
        }
        let read = db.read(soon(), |conn| clients::get(conn, &p(), &c())).await.unwrap().unwrap();
        assert_eq!(read.version, 6);
    }

    async fn a_due_key_is_promoted_once_and_the_old_one_retired(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        write(db, |tx| {
            assert!(signing_keys::insert_active_if_none(tx, signing_key("k0", KeyState::Active))?);
            assert!(!signing_keys::insert_active_if_none(tx, signing_key("other", KeyState::Active))?);
            Ok(())
        }).await;
        for round in 1..=5 {
            write(db, move |tx| {
                let mut next = signing_key(&format!("k{round}"), KeyState::Next);
                next.activates_at = NOW + round;
                assert!(signing_keys::insert_next(tx, next)?);
                assert!(!signing_keys::promote_due(tx, &p(), SigningAlg::Es256, NOW + round - 1)?, "not due");
                assert!(!signing_keys::promote_due(tx, &p(), SigningAlg::Rs256, NOW + round)?, "of another algorithm");
                Ok(())
            }).await;
            let promote = |_| write(db, move |tx| signing_keys::promote_due(tx, &p(), SigningAlg::Es256, NOW + round));
            assert_eq!(wins(join_all((0..8).map(promote)).await), 1);
        }
        let keys = db.read(soon(), |conn| signing_keys::list(conn, &p())).await.unwrap();
        let active: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Active).map(|key| key.kid.as_str()).collect();
        assert_eq!(active, ["k5"]);
        let retired = keys.iter().filter(|key| key.state == KeyState::Retired).map(|key| key.retired_at);
        assert_eq!(retired.collect::<Vec<_>>(), (1..=5).map(|round| Some(NOW + round)).collect::<Vec<_>>());
        let published = db.read(soon(), |conn| signing_keys::published(conn, &p(), NOW + 3603)).await.unwrap();
        let kids: Vec<_> = published.iter().map(|key| key.kid.as_str()).collect();
        assert_eq!(kids, ["k3", "k4", "k5"], "those whose tokens may still live");
    }

    async fn a_token_is_revoked_by_one_of_many_and_found_by_all(test: TestDb) {
        let db = test.db();
        let revocation = || Revocation {
            provider: p(), kind: RevokedKind::Token, id: Jti([7; 16]), expires_at: NOW + 10,
        };
        let revoke = |_| db.write_one(soon(), move |conn| revoked::insert(conn, &revocation()));
        assert_eq!(wins(join_all((0..8).map(revoke)).await.into_iter().map(Result::unwrap)), 1);
        let (found, all, unknown) = db.read(soon(), |conn| {
            let mut all = Vec::new();
            revoked::load(conn, |one| all.push(one))?;
            let unknown = revoked::contains(conn, &ProviderId::from("q"), RevokedKind::Token, Jti([7; 16]))?;
            Ok((revoked::by_ids(conn, &[Jti([7; 16]), Jti([8; 16])])?, all, unknown))
        }).await.unwrap();
        assert_eq!((found, all, unknown), (vec![revocation()], vec![revocation()], false));
        assert!(db.read(soon(), |conn| revoked::contains(conn, &p(), RevokedKind::Token, Jti([7; 16]))).await.unwrap());
    }

    async fn a_fact_is_written_by_the_first_of_many(test: TestDb) {
        let db = test.db();
        let insert = |number: u32| db.write_one(soon(), move |conn| {
            meta::insert_if_absent(conn, "k", &number.to_string())
        });
        assert_eq!(wins(join_all((0..8).map(insert)).await.into_iter().map(Result::unwrap)), 1);
    }

    async fn a_provider_is_not_deleted_beside_a_client_that_is_being_made(test: TestDb) {
        let db = test.db();
        for round in 0..10 {
            let id = format!("q{round}");
            write(db, {
                let id = id.clone();
                move |tx| providers::insert(tx, &crate::store::samples::provider(&id))
            }).await;
            let provider = ProviderId::from(id.as_str());
            let make = write(db, {
                let id = id.clone();
                move |tx| clients::insert(tx, client(&id, "new"))
            });
            let end = write(db, {
                let provider = provider.clone();
                move |tx| providers::soft_delete(tx, &provider, None, false, NOW)
            });
            let (made, ended) = futures_util::future::join(make, end).await;
            assert!(made != (ended == Deletion::Done), "made {made}, deletion {ended:?}");
        }
    }
}
