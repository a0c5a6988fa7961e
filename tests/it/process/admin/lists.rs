//! Lists: pages, cursors, and what an unreadable query gets.

use serde_json::json;

use super::{Api, problem};
use crate::support::process::on_each;

/// Follows the cursors; the ids on every page.
fn pages(api: &Api, path: &str, limit: usize, id: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut query = format!("?limit={limit}");
    loop {
        let body = api.get(&format!("{path}{query}")).expect(200).json();
        let items = body["items"].as_array().unwrap().iter();
        pages.push(items.map(|item| item[id].as_str().unwrap().to_owned()).collect());
        assert!(pages.len() < 1000, "the cursors do not end");
        let Some(cursor) = body["next_cursor"].as_str() else { return pages };
        query = format!("?limit={limit}&cursor={cursor}");
    }
}

#[track_caller]
fn assert_visits_each_once(pages: &[Vec<String>], limit: usize, expected: &[String]) {
    assert!(pages.len() > 1, "one page only");
    assert!(pages.iter().all(|page| page.len() <= limit), "{pages:?}");
    let mut seen: Vec<_> = pages.concat();
    seen.sort();
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "one is visited twice: {seen:?}");
    let mut expected = expected.to_vec();
    expected.sort();
    assert!(expected.iter().all(|id| seen.contains(id)), "{expected:?} are not all in {seen:?}");
}

on_each! {
    fn clients_are_paged_and_each_is_visited_once(api: Api) {
        let made: Vec<String> = (0..7).map(|n| api.new_client(&json!({"client_id": format!("c{n}")})).0).collect();
        let visited = pages(&api, &api.clients(), 3, "client_id");
        assert_visits_each_once(&visited, 3, &made);
        assert_eq!(visited.concat().len(), 7, "of this provider only");
        assert_eq!(pages(&api, &api.clients(), 7, "client_id").concat().len(), 7);
        // Others may come and go between two pages.
        let first = api.get(&format!("{}?limit=2", api.clients())).json();
        let cursor = first["next_cursor"].as_str().unwrap();
        let last_seen = first["items"][1]["client_id"].as_str().unwrap();
        api.delete(&api.client(last_seen)).expect(204);
        let second = api.get(&format!("{}?limit=2&cursor={cursor}", api.clients())).expect(200).json();
        assert_eq!(second["items"][0]["client_id"], "c2");
    }

    fn providers_and_keys_are_paged_too(api: Api) {
        let made: Vec<String> = (0..3).map(|_| api.new_key(&json!({"provider": api.slug})).0).collect();
        let (_, bound) = api.new_key(&json!({"role": "admin", "provider": api.slug}));
        let visited = pages(&api.acting_as(&bound), "/api-keys", 2, "id");
        assert_visits_each_once(&visited, 2, &made);
        assert_eq!(visited.concat().len(), 4, "a bound key sees those of its provider");
        let slugs: Vec<String> = (0..3).map(|_| Api::on(api.kind).slug).collect();
        assert_visits_each_once(&pages(&api, "/providers", 2, "slug"), 2, &slugs);
        let own = api.acting_as(&bound).get("/providers").expect(200).json();
        assert_eq!((own["items"].as_array().unwrap().len(), own["items"][0]["slug"].as_str()), (1, Some(&*api.slug)));
    }

    fn an_unreadable_query_is_refused(api: Api) {
        for query in ["?limit=0", "?limit=x", "?limit=-1", "?cursor=%21", "?limit=100000000000000000000"] {
            let answer = api.get(&format!("{}{query}", api.clients()));
            assert!(matches!(answer.status, 400 | 422), "{query}: {answer:?}");
            problem(&answer, answer.status);
        }
    }
}
