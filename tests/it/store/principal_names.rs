//! Names of principals: the guarded statement, and what the migration and nodes of the release before enter.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;
use futures_util::future::join_all;
use grantd::domain::id::principal_key;
use grantd::domain::{Client, Decision, Fault, ProviderId, Role};
use grantd::store::users::NameKeys;
use grantd::store::{Conn, Db, Tx, api_keys, clients, principal_names, providers, users};

use crate::store::accounts::bare;
use crate::store::samples::{api_key, client, digest, furnish, provider};
use crate::support::databases::{on_both, soon};

const ID: &str = "019a0001-0203-7405-8607-08090a0b0cff";

async fn write<T: Send + 'static>(db: &Db, mut job: impl FnMut(&mut Tx<'_>) -> Result<T, Fault> + Send + 'static) -> T {
    match db.write(soon(), move |tx| job(tx).map(Decision::Allow)).await.unwrap() {
        Decision::Allow(value) => value,
        Decision::Refuse(refusal) => panic!("{refusal}"),
    }
}

#[derive(QueryableByName)]
struct Taken {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    provider_id: String,
}

/// Every name with its provider, in order.
fn all(conn: &mut Conn) -> Result<Vec<(String, String)>, Fault> {
    let mut rows: Vec<Taken> =
        diesel::sql_query("/* a test */ SELECT name, provider_id FROM principal_names").load(conn)?;
    let mut rows: Vec<_> = rows.drain(..).map(|Taken { name, provider_id }| (name, provider_id)).collect();
    rows.sort();
    Ok(rows)
}

fn batch(conn: &mut Conn, sql: &str) -> Result<(), Fault> {
    match conn {
        Conn::Sqlite(conn) => conn.batch_execute(sql)?,
        Conn::Postgres(conn) => conn.batch_execute(sql)?,
    }
    Ok(())
}

fn named(provider: &str, id: &str, subject: &str) -> Client {
    Client { subject: subject.to_owned(), ..client(provider, id) }
}

fn spellings() -> Vec<String> {
    let bare = ID.replace('-', "");
    vec![
        ID.to_owned(),
        ID.to_uppercase(),
        bare.clone(),
        bare.to_uppercase(),
        format!("{{{ID}}}"),
        format!("({bare})"),
        format!("urn:uuid:{ID}"),
        format!("URN:UUID:{}", ID.to_uppercase()),
        format!("{{urn:uuid:{bare}}}"),
    ]
}

on_both! {
    async fn no_name_is_given_to_two(test: TestDb) {
        let db = test.db();
        write(db, |tx| {
            furnish(tx)?;
            assert!(providers::insert(tx, &provider("q"))?);
            assert!(clients::insert(tx, named("p", ID, "robot"))?);
            assert!(users::insert(tx, &bare("u"), &NameKeys { username: "u".to_owned(), email: None })?);
            assert!(api_keys::insert(tx, &api_key("k", Role::Owner), &digest("k"))?);
            Ok(())
        }).await;
        let before = write(db, |tx| all(tx)).await;
        for name in spellings().into_iter().chain(["c", "sub-c", "robot", "u", "k", "env", "system", "cli", "grantd"].map(str::to_owned)) {
            let name = name.clone();
            write(db, move |tx| {
                assert!(principal_names::any_taken(tx, &"p".into(), &["free", &name])?, "{name}");
                assert!(!clients::insert(tx, named("p", &name, "free"))?, "{name} as client_id");
                assert!(!clients::insert(tx, named("p", "free", &name))?, "{name} as subject");
                let keys = NameKeys { username: "free".to_owned(), email: None };
                assert!(!users::insert(tx, &bare(&name), &keys)?, "{name} as user");
                if !["env", "system", "cli", "grantd"].contains(&name.as_str()) {
                    assert!(!api_keys::insert(tx, &api_key(&name, Role::Owner), &digest("free"))?, "{name} as API key");
                }
                Ok(())
            }).await;
        }
        // A digest that is taken gives the name of its key back.
        assert!(!write(db, |tx| api_keys::insert(tx, &api_key("k2", Role::Owner), &digest("k"))).await);
        assert_eq!(write(db, |tx| all(tx)).await, before, "what was refused takes nothing");
        write(db, |tx| {
            for (name, free) in [("u", true), ("robot", true), (ID, true), ("k", false), ("cli", false)] {
                assert_eq!(principal_names::any_taken(tx, &"q".into(), &[name])?, !free, "{name}");
                assert_eq!(clients::insert(tx, named("q", &format!("c-{name}"), name))?, free, "{name}");
            }
            Ok(())
        }).await;
    }

    async fn of_32_who_take_one_name_one_has_it(test: TestDb) {
        let db = test.db();
        write(db, |tx| furnish(tx)).await;
        let spelled = spellings();
        let wins = join_all((0..32).map(|number| {
            let spelled = spelled[number % spelled.len()].clone();
            write(db, move |tx| match number % 2 {
                0 => clients::insert(tx, named("p", &format!("c{number}"), &spelled)),
                _ => users::insert(tx, &bare(&spelled), &NameKeys { username: format!("u{number}"), email: None }),
            })
        })).await;
        assert_eq!(wins.iter().filter(|won| **won).count(), 1, "{wins:?}");
    }

    async fn the_migration_and_old_nodes_enter_the_same_names(test: TestDb) {
        let db = test.db();
        let names = spellings();
        let others = ["shop", "Shop", "{shop}", "urn:uuid:shop", "0123456789abcdef0123456789abcdeg", "üü", "-", "urn:uuid:"];
        write(db, move |tx| {
            furnish(tx)?;
            for (number, name) in names.iter().map(String::as_str).chain(others).enumerate() {
                let at = format!("p{number}");
                assert!(providers::insert(tx, &provider(&at))?);
                assert!(clients::insert(tx, named(&at, "own", name))?);
            }
            assert!(users::insert(tx, &bare("u"), &NameKeys { username: "u".to_owned(), email: None })?);
            assert!(api_keys::insert(tx, &api_key("k", Role::Owner), &digest("k"))?);
            Ok(())
        }).await;
        let before = write(db, |tx| all(tx)).await;
        assert!(before.contains(&(principal_key(ID), "p0".to_owned())) && before.contains(&("k".to_owned(), String::new())));
        let (up, down) = match test.kind {
            Kind::Sqlite => (
                include_str!("../../../migrations/sqlite/20261201000080_principal_names/up.sql"),
                include_str!("../../../migrations/sqlite/20261201000080_principal_names/down.sql"),
            ),
            Kind::Postgres => (
                include_str!("../../../migrations/postgres/20261201000080_principal_names/up.sql"),
                include_str!("../../../migrations/postgres/20261201000080_principal_names/down.sql"),
            ),
        };
        write(db, move |tx| batch(tx, down).and_then(|()| batch(tx, up))).await;
        assert_eq!(write(db, |tx| all(tx)).await, before, "what there was before the table");
        // A node of the release before writes the rows and knows nothing of the table.
        write(db, |tx| {
            batch(tx, "DELETE FROM principal_names")?;
            let again = |table: &str, id: &str| format!("CREATE TABLE again AS SELECT * FROM {table}; DELETE FROM {table} WHERE {id}; \
                 INSERT INTO {table} SELECT * FROM again WHERE {id}; DROP TABLE again;");
            batch(tx, &again("clients", "1 = 1"))?;
            batch(tx, &again("users", "1 = 1"))?;
            batch(tx, "DELETE FROM api_key_secrets")?;
            batch(tx, &again("api_keys", "1 = 1"))
        }).await;
        assert_eq!(write(db, |tx| all(tx)).await, before, "what old nodes make");
        let provider = ProviderId::from("p0");
        assert!(write(db, move |tx| principal_names::any_taken(tx, &provider, &[ID])).await);
    }
}
