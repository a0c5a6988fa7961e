//! Histories of one-time uses and revocations over two nodes on one database, one of them with a clock that
//! jumps. Whatever happens: a one-time token succeeds once, and what was revoked is never active again.

use serde_json::json;

use super::{clean, member};
use crate::support::app::{TestApp, TestClient, on_both_apps};

const STEPS: usize = 250;
/// What the second node's clock is set to, seconds from the truth.
const JUMPS: [i64; 10] = [7400, -3600, -7400, 86_400, 30, 0, 0, 0, 0, 0];
/// Seconds that a token lives.
const LIFE: i64 = 300;

/// A small generator, so that a history can be run again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[derive(Clone)]
struct Token {
    text: String,
    one_time: bool,
    uses: usize,
    revoked: bool,
}

struct History {
    nodes: [TestApp; 2],
    client: TestClient,
    key: String,
    tokens: Vec<Token>,
    log: Vec<String>,
}

impl History {
    async fn begin(app: TestApp) -> Self {
        let key = member(&app).await;
        let client = app.client(json!({"access_token_ttl": LIFE})).await;
        let node = app.second_node_ahead(0).await;
        Self { nodes: [app, node], client, key, tokens: Vec::new(), log: Vec::new() }
    }

    async fn mint(&mut self, at: usize, one_time: bool) {
        let node = &self.nodes[at];
        let call = match one_time {
            true => node.post("/oauth2/mint").bearer(&self.key).json(&json!({"one_time": true, "ttl_seconds": LIFE})),
            false => {
                let form = [("grant_type", "client_credentials")];
                node.post("/oauth2/token").form(&form).basic(&self.client.id, &self.client.secret)
            }
        };
        let answer = call.send().await;
        self.log.push(format!("mint at {at}: {}", answer.status));
        if answer.status == 200 {
            let text = answer.json()["access_token"].as_str().unwrap().to_owned();
            self.tokens.push(Token { text, one_time, uses: 0, revoked: false });
        }
    }

    async fn look(&mut self, at: usize, which: usize) {
        let token = &mut self.tokens[which];
        let call = self.nodes[at].post("/oauth2/introspect").form(&[("token", &token.text)]).bearer(&self.key);
        let answer = call.send().await;
        let active = answer.status == 200 && answer.json()["active"] == json!(true);
        self.log.push(format!("look at {which} at {at}: {} {active}", answer.status));
        if !active {
            return;
        }
        token.uses += 1;
        assert!(!token.revoked, "revoked and active: {:#?}", self.log);
        assert!(!token.one_time || token.uses == 1, "used twice: {:#?}", self.log);
    }

    async fn revoke(&mut self, at: usize, which: usize) {
        let token = &mut self.tokens[which];
        let call = self.nodes[at].post("/oauth2/revoke").form(&[("token", &token.text)]);
        let status = call.bearer(&self.nodes[at].first.owner_key).send().await.status;
        self.log.push(format!("revoke {which} at {at}: {status}"));
        token.revoked |= status == 200;
        // The other one hears of it within a quarter of a second.
        self.nodes[1 - at].poll().await;
    }

    async fn step(&mut self, dice: &mut Dice) {
        let (at, kind) = (dice.below(2), dice.below(20));
        let which = (!self.tokens.is_empty()).then(|| self.tokens.len() - 1 - dice.below(self.tokens.len().min(5)));
        match (kind, which) {
            (0..=3, _) => self.mint(at, kind < 3).await,
            (4..=11, Some(which)) => self.look(at, which).await,
            (12, Some(which)) => self.revoke(at, which).await,
            (13 | 14, _) => {
                let seconds = [1, 5, 5, 30, 30, LIFE, 3700, 7500][dice.below(8)];
                self.log.push(format!("{seconds} s pass"));
                self.nodes.iter().for_each(|node| node.pass(seconds));
            }
            (15 | 16, _) => {
                let to = JUMPS[dice.below(JUMPS.len())];
                let [truth, node] = &self.nodes;
                node.wall.step(truth.now() + to - node.now());
                self.log.push(format!("the clock of 1 is {to} s off"));
                // Now and then a jump is not noticed before the next request.
                if to == 0 || dice.below(2) == 0 {
                    node.poll().await;
                }
            }
            (17 | 18, _) => {
                self.log.push(format!("node {at} cleans up"));
                clean(&self.nodes[at]).await;
            }
            _ => {
                self.nodes[at].poll().await;
                self.nodes[at].tick().await;
            }
        }
    }

    /// In the end every token is asked of both nodes, and of one that starts then.
    async fn end(&mut self) {
        self.nodes[1] = self.nodes[0].second_node_ahead(0).await;
        for which in 0..self.tokens.len() {
            for at in [0, 1, 0] {
                self.look(at, which).await;
            }
        }
        let once = self.tokens.iter().filter(|token| token.one_time);
        let used = once.filter(|token| token.uses == 1).count();
        let revoked = self.tokens.iter().filter(|token| token.revoked).count();
        let refused = self.log.iter().filter(|line| line.contains("503")).count();
        assert!(used >= 8 && revoked >= 3 && refused >= 8, "too little happened: {:#?}", self.log);
    }
}

on_both_apps! {
    async fn nothing_succeeds_twice_and_nothing_comes_back(app: TestApp) {
        for seed in [1, 20_261_201, 7] {
            let mut history = History::begin(app.clone()).await;
            let mut dice = Dice(seed);
            for _ in 0..STEPS {
                history.step(&mut dice).await;
            }
            history.end().await;
        }
    }
}
