//! The fetcher against servers that would like it to go elsewhere.

use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use grantd::upstream::guard::UrlFlaw;
use grantd::upstream::{FetchFlaw, Fetcher, UpstreamOptions};

use crate::support::databases::block_on;
use crate::support::origin::{Origin, Reply};

/// Names as this resolver knows them, one list of addresses a question.
pub fn fetcher(allowed: &[&str], answers: &[&[&str]]) -> (Fetcher, Arc<AtomicUsize>) {
    let answers: Vec<Vec<IpAddr>> =
        answers.iter().map(|list| list.iter().map(|address| address.parse().unwrap()).collect()).collect();
    let (questions, answers) = (Arc::new(AtomicUsize::new(0)), Mutex::new(answers));
    let count = Arc::clone(&questions);
    let options = UpstreamOptions {
        allow_networks: allowed.iter().map(|network| network.parse().unwrap()).collect(),
        timeout: Duration::from_millis(500),
        lookup: Arc::new(move |_name| {
            count.fetch_add(1, Ordering::SeqCst);
            let mut answers = answers.lock().unwrap();
            let last = answers.len() == 1;
            Ok(if last { answers[0].clone() } else { answers.remove(0) })
        }),
        ..UpstreamOptions::default()
    };
    (Fetcher::new(options), questions)
}

fn got(fetcher: &Fetcher, url: &str) -> Result<Vec<u8>, FetchFlaw> {
    block_on(async { fetcher.get(url).await.map(|fetched| fetched.body) })
}

#[test]
fn an_address_in_the_url_is_called_only_where_the_operator_opened_it() {
    let origin = Origin::always(Reply::json("{}"));
    let (closed, _) = fetcher(&[], &[&["8.8.8.8"]]);
    for host in ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"] {
        for scheme in ["http", "https"] {
            let refused = got(&closed, &format!("{scheme}://{host}:{}/", origin.port)).unwrap_err();
            assert!(matches!(refused, FetchFlaw::Url(UrlFlaw::Address)), "{scheme} {host}: {refused:?}");
        }
    }
    assert!(origin.asked().is_empty());
    let (opened, _) = fetcher(&["127.0.0.1"], &[&["8.8.8.8"]]);
    assert_eq!(got(&opened, &format!("{}/keys?x=1", origin.base)), Ok(b"{}".to_vec()));
    let asked = origin.asked().remove(0);
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/keys?x=1"));
    assert!(asked.header("accept").unwrap().contains("application/json"));
    for absent in ["cookie", "referer", "authorization", "proxy-authorization"] {
        assert_eq!(asked.header(absent), None, "{absent}");
    }
}

#[test]
fn a_name_is_judged_by_every_address_it_resolves_to() {
    let origin = Origin::always(Reply::json("{}"));
    let url = |scheme: &str| format!("{scheme}://keys.example:{}/", origin.port);
    let inside: [&[&str]; 6] = [
        &["127.0.0.1"],
        &["::1"],
        &["10.0.0.1", "192.168.0.1"],
        &["::ffff:127.0.0.1"],
        &["64:ff9b::7f00:1"],
        &["169.254.169.254"],
    ];
    for addresses in inside {
        let (fetcher, questions) = fetcher(&[], &[addresses]);
        assert_eq!(got(&fetcher, &url("https")), Err(FetchFlaw::Address), "{addresses:?}");
        assert_eq!(questions.load(Ordering::SeqCst), 1);
    }
    // http goes to opened addresses only: a public one beside them is not used.
    let (fetcher, _) = fetcher(&["127.0.0.1"], &[&["93.184.216.34", "127.0.0.1"]]);
    assert_eq!(got(&fetcher, &url("http")), Ok(b"{}".to_vec()));
    assert_eq!(origin.asked().len(), 1);
    assert_eq!(origin.asked()[0].header("host"), Some(format!("keys.example:{}", origin.port).as_str()));
}

#[test]
fn a_name_that_changes_its_address_between_two_questions_gains_nothing() {
    let origin = Origin::always(Reply::json("{}"));
    // Permitted at the first question, inside at every later one: what is judged is what is connected
    // to, and there is no second question in between.
    let (fetcher, questions) = fetcher(&["127.0.0.2"], &[&["127.0.0.2"], &["127.0.0.1"]]);
    let url = format!("http://rebind.example:{}/", origin.port);
    assert_eq!(got(&fetcher, &url), Err(FetchFlaw::Connect), "nobody listens at the permitted address");
    assert_eq!(questions.load(Ordering::SeqCst), 1);
    for _ in 0..2 {
        assert_eq!(got(&fetcher, &url), Err(FetchFlaw::Address));
    }
    assert_eq!(questions.load(Ordering::SeqCst), 3);
    assert!(origin.asked().is_empty());
    // A kept connection would be a way past the question.
    let (opened, questions) = self::fetcher(&["127.0.0.1"], &[&["127.0.0.1"], &["127.0.0.1"], &["10.0.0.1"]]);
    let url = format!("http://rebind.example:{}/", origin.port);
    assert!(got(&opened, &url).is_ok() && got(&opened, &url).is_ok());
    assert_eq!(got(&opened, &url), Err(FetchFlaw::Address));
    assert_eq!(questions.load(Ordering::SeqCst), 3);
}

#[test]
fn a_redirect_is_an_answer_and_not_a_way() {
    let inside = Origin::always(Reply::json("{}"));
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/secret", inside.base);
        let outside = Origin::always(Reply::status(status).with("location", &location));
        let (fetcher, _) = fetcher(&["127.0.0.1"], &[&["127.0.0.1"]]);
        assert_eq!(got(&fetcher, &outside.base), Err(FetchFlaw::Status(status)));
        let posted = block_on(async { fetcher.post_form(&outside.base, "a=b".to_owned()).await });
        assert_eq!(posted, Err(FetchFlaw::Status(status)));
    }
    assert!(inside.asked().is_empty());
}

#[test]
fn what_is_too_large_or_too_slow_is_given_up() {
    let (fetcher, _) = fetcher(&["127.0.0.1"], &[&["127.0.0.1"]]);
    let fits = Origin::always(Reply::json(" ".repeat(256 * 1024)));
    assert_eq!(got(&fetcher, &fits.base).map(|body| body.len()), Ok(256 * 1024));
    let large = Origin::always(Reply::json(" ".repeat(256 * 1024 + 1)));
    assert_eq!(got(&fetcher, &large.base).map(|body| body.len()), Err(FetchFlaw::TooLarge));
    let slow = Origin::always(Reply::json("{}").after(Duration::from_secs(3)));
    assert_eq!(got(&fetcher, &slow.base), Err(FetchFlaw::Slow));
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let gone = format!("http://127.0.0.1:{port}");
    assert_eq!(got(&fetcher, &gone), Err(FetchFlaw::Connect));
    let failing = Origin::always(Reply::status(500));
    assert_eq!(got(&fetcher, &failing.base), Err(FetchFlaw::Status(500)));
}

#[test]
fn a_resolver_that_hangs_costs_the_time_out_and_no_more() {
    let options = UpstreamOptions {
        timeout: Duration::from_millis(200),
        lookup: Arc::new(|_name| {
            std::thread::sleep(Duration::from_secs(2));
            Ok(Vec::new())
        }),
        ..UpstreamOptions::default()
    };
    let fetcher = Fetcher::new(options);
    let began = grantd::domain::clock::monotonic();
    assert_eq!(got(&fetcher, "https://hangs.example/"), Err(FetchFlaw::Slow));
    assert!(grantd::domain::clock::monotonic().duration_since(began) < Duration::from_millis(1500));
}

#[test]
fn an_https_server_that_nobody_vouches_for_is_not_believed() {
    // It speaks no TLS at all, which is as far as a forger without a certificate comes.
    let origin = Origin::always(Reply::json("{}"));
    let (fetcher, _) = fetcher(&["127.0.0.1"], &[&["127.0.0.1"]]);
    assert_eq!(got(&fetcher, &format!("https://127.0.0.1:{}/", origin.port)), Err(FetchFlaw::Connect));
}
