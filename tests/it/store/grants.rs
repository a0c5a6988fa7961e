//! Rows of people's grants: codes are spent once, families move on by their generation and end once,
//! and both are swept when nobody can need them any more.

use futures_util::future::join_all;
use grantd::domain::session::Amr;
use grantd::domain::token::{Epochs, Jti};
use grantd::domain::{
    AudienceSet, AuthorizationCode, Decision, Fault, PersonGrant, RefreshFamily, ScopeSet, UnixTime, User,
};
use grantd::store::users::NameKeys;
use grantd::store::{Conn, Db, Tx, cleanup, codes, refresh_families, users};

use crate::store::samples::{NOW, furnish};
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

const fn at(second: i64) -> UnixTime {
    UnixTime::from_seconds(NOW + second)
}

fn grant(number: u8) -> PersonGrant {
    PersonGrant {
        id: Jti([number; 16]),
        provider: "p".into(),
        client: "c".into(),
        user: "u".into(),
        session: Some("s".into()),
        scope: ScopeSet::parse("openid email").unwrap(),
        audience: AudienceSet::of(["https://a.example", "b"]).unwrap(),
        claims: r#"{"userinfo":{"name":null}}"#.to_owned(),
        auth_time: NOW - 3,
        amr: Amr::parse("pwd otp"),
    }
}

fn code(number: u8) -> AuthorizationCode {
    AuthorizationCode {
        grant: grant(number),
        pepper_id: "p1".to_owned(),
        digest: [number; 32],
        redirect_uri: "https://app.example/cb".to_owned(),
        redirect_uri_sent: true,
        code_challenge: Some("x".repeat(43)),
        nonce: Some("n".to_owned()),
        created_at: NOW,
        expires_at: NOW + 60,
        spent_at: None,
        epochs: Epochs { user: 1, ..Epochs::default() },
    }
}

fn family(number: u8) -> RefreshFamily {
    RefreshFamily {
        grant: grant(number),
        key_id: "r1".to_owned(),
        salt: [number; 16],
        generation: u32::MAX - 1,
        newest_presented: true,
        rotated_at: vec![NOW * 1000 + 7, NOW * 1000],
        created_at: NOW - 9,
        used_at: NOW,
        idle_ends_at: NOW + 10,
        ends_at: NOW + 100,
        revoked_at: None,
        epochs: Epochs { provider: 1, client: 2, user: 3, session: 4 },
        max_ttl: Some(77),
    }
}

fn with_a_person(tx: &mut Tx<'_>) -> Result<(), Fault> {
    furnish(tx)?;
    let user = User {
        provider: "p".into(),
        id: "u".into(),
        username: "ada".to_owned(),
        email: None,
        email_verified: false,
        name: None,
        groups: Vec::new(),
        roles: Vec::new(),
        password: None,
        password_changed_at: None,
        enabled: true,
        locked_at: None,
        epoch: 1,
        version: 1,
        created_at: NOW,
        updated_at: NOW,
        deleted_at: None,
    };
    assert!(users::insert(tx, &user, &NameKeys { username: "ada".to_owned(), email: None })?);
    Ok(())
}

on_both! {
    async fn a_code_reads_back_by_its_digest_only(test: TestDb) {
        let db = test.db();
        let bare = AuthorizationCode { code_challenge: None, nonce: None, redirect_uri_sent: false, ..code(2) };
        let given = bare.clone();
        write(db, move |tx| {
            with_a_person(tx)?;
            codes::insert(tx, &code(1))?;
            codes::insert(tx, &given)
        }).await;
        assert_eq!(read(db, |conn| codes::by_digest(conn, "p1", &[1; 32])).await, Some(code(1)));
        assert_eq!(read(db, |conn| codes::by_digest(conn, "p1", &[2; 32])).await, Some(bare));
        assert_eq!(read(db, |conn| codes::by_digest(conn, "p2", &[1; 32])).await, None);
        assert_eq!(read(db, |conn| codes::by_digest(conn, "p1", &[3; 32])).await, None);
        assert_eq!(read(db, |conn| codes::claims_of(conn, &Jti([1; 16]))).await, Some(grant(1).claims));
        assert_eq!(read(db, |conn| codes::claims_of(conn, &Jti([3; 16]))).await, None);
    }

    async fn a_code_is_spent_by_exactly_one_of_many_and_not_after_its_end(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            with_a_person(tx)?;
            (1..=3).try_for_each(|number| codes::insert(tx, &code(number)))
        }).await;
        let spend = |_| db.write_one(soon(), |conn: &mut Conn| codes::spend(conn, &Jti([1; 16]), at(5)));
        let won = join_all((0..16).map(spend)).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
        assert_eq!(read(db, |conn| codes::by_digest(conn, "p1", &[1; 32])).await.unwrap().spent_at, Some(NOW + 5));
        assert!(!write(db, |tx| codes::spend(tx, &Jti([2; 16]), at(60))).await, "its time is over");
        assert!(write(db, |tx| codes::spend(tx, &Jti([3; 16]), at(59))).await);
    }

    async fn a_family_reads_back_and_is_renewed_at_its_generation_only(test: TestDb) {
        let db = test.db();
        let bare = RefreshFamily {
            grant: PersonGrant { session: None, ..grant(2) }, rotated_at: Vec::new(), max_ttl: None, ..family(2)
        };
        let given = bare.clone();
        write(db, move |tx| {
            with_a_person(tx)?;
            refresh_families::insert(tx, &family(1))?;
            refresh_families::insert(tx, &given)
        }).await;
        assert_eq!(read(db, |conn| refresh_families::get(conn, &Jti([1; 16]))).await, Some(family(1)));
        assert_eq!(read(db, |conn| refresh_families::get(conn, &Jti([2; 16]))).await, Some(bare));
        let after = RefreshFamily {
            generation: u32::MAX, newest_presented: false, rotated_at: vec![NOW * 1000 + 9], used_at: NOW + 9, idle_ends_at: NOW + 19, ..family(1)
        };
        let given = after.clone();
        assert!(!write(db, move |tx| refresh_families::renew(tx, &given, 5)).await, "another generation");
        let renew = |_| {
            let given = after.clone();
            db.write_one(soon(), move |conn: &mut Conn| refresh_families::renew(conn, &given, u32::MAX - 1))
        };
        let won = join_all((0..16).map(renew)).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
        assert_eq!(won, 1);
        assert_eq!(read(db, |conn| refresh_families::get(conn, &Jti([1; 16]))).await, Some(after.clone()));
        assert!(write(db, |tx| refresh_families::revoke(tx, &Jti([1; 16]), at(20))).await);
        assert!(!write(db, |tx| refresh_families::revoke(tx, &Jti([1; 16]), at(21))).await, "ended once");
        assert!(!write(db, move |tx| refresh_families::renew(tx, &after, u32::MAX)).await, "what ended stays ended");
        assert_eq!(read(db, |conn| refresh_families::get(conn, &Jti([1; 16]))).await.unwrap().revoked_at, Some(NOW + 20));
    }

    async fn families_end_with_their_session_or_person(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            with_a_person(tx)?;
            for number in 1..=3 {
                let session = (number < 3).then(|| "s".into());
                refresh_families::insert(tx, &RefreshFamily { grant: PersonGrant { session, ..grant(number) }, ..family(number) })?;
            }
            Ok(())
        }).await;
        assert_eq!(write(db, |tx| refresh_families::revoke_of_session(tx, &"other".into(), at(1))).await, 0);
        assert_eq!(write(db, |tx| refresh_families::revoke_of_session(tx, &"s".into(), at(1))).await, 2);
        assert_eq!(write(db, |tx| refresh_families::revoke_of_user(tx, &"other".into(), at(2))).await, 0);
        assert_eq!(write(db, |tx| refresh_families::revoke_of_user(tx, &"u".into(), at(2))).await, 1);
        let ends = read(db, |conn| (1..=3).map(|number| Ok(refresh_families::get(conn, &Jti([number; 16]))?.unwrap().revoked_at)).collect::<Result<Vec<_>, Fault>>()).await;
        assert_eq!(ends, [Some(NOW + 1), Some(NOW + 1), Some(NOW + 2)]);
    }

    async fn codes_are_swept_a_day_after_their_end_and_families_after_theirs(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            with_a_person(tx)?;
            codes::insert(tx, &code(1))?;
            refresh_families::insert(tx, &family(1))
        }).await;
        let swept = async |second| cleanup::tick(db, at(second), soon()).await.unwrap();
        assert_eq!(swept(100 + 59).await, 0);
        assert_eq!(swept(100 + 60).await, 1);
        assert!(read(db, |conn| refresh_families::get(conn, &Jti([1; 16]))).await.is_none());
        assert_eq!(swept(86_400 + 60 + 59).await, 0);
        assert_eq!(swept(86_400 + 60 + 60).await, 1);
    }
}
