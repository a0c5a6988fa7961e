//! Rows of accounts: every field reads back, names are held by one account, links and failures are
//! decided by the row.

use futures_util::future::join_all;
use grantd::domain::user::PasswordHash;
use grantd::domain::{Decision, Fault, ProviderId, UnixTime, User, UserId};
use grantd::store::behind::WriteBehind;
use grantd::store::login_failures::Debt;
use grantd::store::user_links::Subject;
use grantd::store::users::NameKeys;
use grantd::store::{Conn, Db, Tx, login_failures, principal_names, providers, user_links, users};

use crate::store::samples::{NOW, furnish, provider};
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

/// A debt that no bound cuts.
fn owing(seconds: i64) -> Debt {
    Debt { seconds, most: 1_000_000 }
}

fn user(id: &str) -> User {
    User {
        provider: p(),
        id: UserId::from(id),
        username: format!("User {id}"),
        email: Some(format!("{id}@Example.com")),
        email_verified: true,
        name: Some("A \"person\"".to_owned()),
        groups: vec!["a b".to_owned(), "ä\"".to_owned()],
        roles: vec!["r ä".to_owned()],
        password: Some(PasswordHash("$argon2id$…".to_owned())),
        password_changed_at: Some(NOW - 1),
        enabled: false,
        locked_at: Some(NOW - 2),
        epoch: 7,
        version: 1,
        created_at: NOW,
        updated_at: NOW + 1,
        deleted_at: None,
    }
}

fn keys(username: &str, email: Option<&str>) -> NameKeys {
    NameKeys { username: username.to_owned(), email: email.map(str::to_owned) }
}

pub fn bare(id: &str) -> User {
    User { email: None, ..user(id) }
}

fn named(issuer: &str, subject: &str) -> Subject {
    Subject { provider: p(), issuer: issuer.to_owned(), claim: "sub".to_owned(), subject: subject.to_owned() }
}

on_both! {
    async fn a_user_reads_back_by_id_and_by_either_name(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        assert!(write(db, |tx| users::insert(tx, &user("u"), &keys("u", Some("u@example.com")))).await);
        assert_eq!(read(db, |conn| users::get(conn, &p(), &"u".into())).await, Some(user("u")));
        for key in ["u", "u@example.com"] {
            assert_eq!(read(db, move |conn| users::by_name(conn, &p(), key)).await, Some(user("u")), "{key}");
        }
        assert_eq!(read(db, |conn| users::by_name(conn, &p(), "User u")).await, None, "only keys compare");
        assert_eq!(read(db, |conn| users::get(conn, &"q".into(), &"u".into())).await, None);
        assert_eq!(read(db, |conn| users::by_name(conn, &"q".into(), "u")).await, None);
        let changed = User { name: None, groups: Vec::new(), locked_at: None, password: None, epoch: 8, ..bare("u") };
        let given = changed.clone();
        assert!(write(db, move |tx| users::update(tx, &given, &keys("v", None), 1)).await);
        let given = changed.clone();
        assert!(!write(db, move |tx| users::update(tx, &given, &keys("v", None), 1)).await, "version 1 is gone");
        assert_eq!(read(db, |conn| users::by_name(conn, &p(), "v")).await, Some(User { version: 2, ..changed }));
        assert_eq!(read(db, |conn| users::by_name(conn, &p(), "u@example.com")).await, None);
    }

    async fn a_deleted_user_stays_known_by_id_and_frees_its_names(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let own = || keys("u", Some("u@example.com"));
        assert!(write(db, move |tx| users::insert(tx, &user("u"), &own())).await);
        let gone = User { deleted_at: Some(NOW), ..user("u") };
        let given = gone.clone();
        assert!(write(db, move |tx| users::update(tx, &given, &own(), 1)).await);
        assert_eq!(read(db, |conn| users::get(conn, &p(), &"u".into())).await, Some(User { version: 2, ..gone }));
        assert_eq!(read(db, |conn| users::by_name(conn, &p(), "u")).await, None);
        assert!(!write(db, move |tx| users::update(tx, &user("u"), &own(), 2)).await, "what is deleted stays so");
        let hash = PasswordHash("$argon2id$…".to_owned());
        assert!(!write(db, move |tx| users::set_password_hash(tx, &p(), &"u".into(), &hash, &hash)).await);
        assert!(write(db, move |tx| users::insert(tx, &user("v"), &own())).await);
        assert!(read(db, |conn| principal_names::any_taken(conn, &p(), &["x", "u"])).await);
        assert!(!write(db, |tx| users::insert(tx, &bare("u"), &keys("other", None))).await, "nor is its id given out again");
    }

    async fn a_name_is_one_accounts_as_username_or_as_email(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            furnish(tx)?;
            providers::insert(tx, &provider("q")).map(drop)
        })
        .await;
        assert!(write(db, |tx| users::insert(tx, &user("u"), &keys("u", Some("e")))).await);
        for (username, email) in [("u", None), ("e", None), ("x", Some("u")), ("x", Some("e"))] {
            assert!(!write(db, move |tx| users::insert(tx, &bare("v"), &keys(username, email))).await, "{username} {email:?}");
        }
        let there = User { provider: "q".into(), ..user("w") };
        assert!(write(db, move |tx| users::insert(tx, &there, &keys("u", Some("e")))).await);
        let taken = |name: &'static str, except: Option<&'static str>| {
            read(db, move |conn| users::is_name_taken(conn, &p(), &keys(name, None), except.map(UserId::from).as_ref()))
        };
        assert!(taken("e", None).await && taken("e", Some("v")).await && !taken("e", Some("u")).await && !taken("f", None).await);
        // A client's name is no user's id: subjects are one name space.
        assert!(!write(db, |tx| users::insert(tx, &bare("c"), &keys("c", None))).await);
        assert!(!write(db, |tx| users::insert(tx, &bare("sub-c"), &keys("c", None))).await);
        let nowhere = User { provider: "nope".into(), ..bare("n") };
        assert!(!write(db, move |tx| users::insert(tx, &nowhere, &keys("n", None))).await);
    }

    async fn of_many_links_of_one_subject_the_first_stays(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            furnish(tx)?;
            for id in ["u1", "u2", "u3", "u4"] {
                assert!(users::insert(tx, &bare(id), &keys(id, None))?);
            }
            Ok(())
        })
        .await;
        let link = |id: &'static str| {
            write(db, move |tx| user_links::insert_if_absent(tx, &named("https://i.example", "s"), &id.into(), NOW))
        };
        let linked = join_all(["u1", "u2", "u3", "u4"].map(link)).await;
        assert_eq!(linked.iter().filter(|linked| **linked).count(), 1, "{linked:?}");
        let first = ["u1", "u2", "u3", "u4"][linked.iter().position(|linked| *linked).unwrap()];
        assert_eq!(read(db, |conn| user_links::get(conn, &named("https://i.example", "s"))).await, Some(first.into()));
        for (issuer, subject) in [("https://i.example", "t"), ("https://i.example/", "s")] {
            assert_eq!(read(db, move |conn| user_links::get(conn, &named(issuer, subject))).await, None);
        }
        let claim = || Subject { claim: "nick".to_owned(), ..named("https://i.example", "s") };
        assert_eq!(read(db, move |conn| user_links::get(conn, &claim())).await, None, "another claim's subject");
        assert_eq!(read(db, |conn| user_links::get(conn, &Subject { provider: "q".into(), ..named("https://i.example", "s") })).await, None);
    }

    async fn a_debt_from_before_the_clock_went_back_counts_no_more(test: TestDb) {
        let db = test.db();
        let after = async |now: i64| {
            let debt = Debt { seconds: 30, most: 600 };
            write(db, move |tx| login_failures::add(tx, "a", now, debt)).await;
            read(db, |conn| login_failures::clear_at(conn, &["a"])).await.get("a").copied()
        };
        for _ in 0..30 {
            after(10_000).await;
        }
        assert_eq!(after(10_000).await, Some(10_600), "no row owes more");
        assert_eq!(after(9996).await, Some(10_596), "a node that is a little behind");
        assert_eq!(after(6400).await, Some(6430), "an hour back");
    }

    async fn failed_logins_are_a_debt_that_leaks_exactly(test: TestDb) {
        let db = test.db();
        let clear = || async { read(db, |conn| login_failures::clear_at(conn, &["a", "b"])).await.get("a").copied() };
        assert_eq!(clear().await, None);
        for (now, expected) in [(100, 130), (100, 160), (159, 190), (190, 220), (1000, 1030), (990, 1060)] {
            write(db, move |tx| login_failures::add(tx, "a", now, owing(30))).await;
            assert_eq!(clear().await, Some(expected), "at {now}");
        }
        // Many nodes at once lose nothing.
        join_all((0..20).map(|_| write(db, |tx| login_failures::add(tx, "b", 100, owing(30))))).await;
        assert_eq!(read(db, |conn| login_failures::clear_at(conn, &["b"])).await.get("b"), Some(&700));
    }

    async fn failed_logins_are_written_behind_and_melt(test: TestDb) {
        let db = test.db();
        let behind = WriteBehind::new(2);
        for second in [100, 101] {
            behind.note_login_failure("a", UnixTime::from_seconds(second), owing(30));
        }
        for id in ["b", "c"] {
            behind.note_login_failure(id, UnixTime::from_seconds(100), owing(60));
        }
        assert_eq!(behind.flush(db, soon()).await.unwrap(), 2);
        assert_eq!(behind.dropped(), 1, "the map is bounded");
        assert_eq!(behind.flush(db, soon()).await.unwrap(), 0);
        let known = read(db, |conn| login_failures::clear_at(conn, &["a", "b", "c"])).await;
        assert_eq!((known.get("a"), known.get("b"), known.get("c")), (Some(&161), Some(&160), None));
        db.close(soon()).await;
        behind.note_login_failure("d", UnixTime::from_seconds(100), owing(60));
        assert!(behind.flush(db, soon()).await.is_err());
        assert_eq!(behind.dropped(), 2);
    }
}
