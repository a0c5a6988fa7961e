//! What was answered is there after the process is gone.

use grantd::domain::Decision;
use grantd::store::{Db, StoreOptions, meta};

use crate::support::databases::{on_both, soon};

on_both! {
    async fn a_durable_write_is_there_when_the_database_is_opened_again(test: TestDb) {
        let options = StoreOptions { durable: true, ..test.options() };
        let db = Db::open(&options).unwrap();
        for key in ["a", "b", "c"] {
            db.write(soon(), move |tx| meta::set(tx, key, "1").map(Decision::Allow)).await.unwrap();
        }
        drop(db);
        let db = Db::open(&options).unwrap();
        for key in ["a", "b", "c"] {
            let found = db.read(soon(), move |conn| meta::get(conn, key)).await.unwrap();
            assert_eq!(found.as_deref(), Some("1"), "{key}");
        }
        db.close(soon()).await;
    }
}
