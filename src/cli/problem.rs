//! What went wrong with a call, as sentences: the command line has flags, not JSON pointers.

use serde_json::Value;

use crate::cli::CliError;
use crate::cli::call::Answer;
use crate::cli::output::one_line;

/// The error of an answer that is no success.
pub fn error_of(answer: &Answer) -> CliError {
    let problem = answer.json();
    let text = |name: &str| problem.get(name).and_then(Value::as_str).map(one_line).unwrap_or_default();
    let (detail, request_id) = (text("detail"), text("request_id"));
    if request_id.is_empty() {
        // Not our problem+json: something else answers there, or stands before it.
        return match answer.status {
            300..=399 => refused("the server answers with a redirect: --server must be its public URL itself"),
            404 | 405 => refused("there is no admin API of grantd at this --server"),
            status @ (408 | 429 | 500..) => {
                CliError::Unreachable(format!("the server cannot answer right now (status {status})"))
            }
            status => refused(&format!("the server answers with status {status} and no explanation")),
        };
    }
    match answer.status {
        401 => refused(&format!("{detail} (GRANTD_KEY_FILE or --key-file says which is used)")),
        422 => refused(&fields(&problem).unwrap_or(detail)),
        408 | 429 | 503 => CliError::Unreachable(format!("{detail}{}", again(answer))),
        500.. => refused(&format!("{detail} Its log says more under {request_id}")),
        _ => refused(&detail.replace("?cascade=true", "--cascade")),
    }
}

/// `access_token_ttl must be …`, a line each.
fn fields(problem: &Value) -> Option<String> {
    let errors = problem.get("errors")?.as_array()?;
    let line = |error: &Value| {
        let text = |name: &str| error.get(name).and_then(Value::as_str).map(one_line).unwrap_or_default();
        format!("{} {}", text("pointer").trim_start_matches('/'), text("detail")).trim_start().to_owned()
    };
    (!errors.is_empty()).then(|| errors.iter().map(line).collect::<Vec<_>>().join("\n"))
}

fn again(answer: &Answer) -> String {
    answer.retry_after.as_ref().map(|after| format!(" Try again in {} s.", one_line(after))).unwrap_or_default()
}

fn refused(sentence: &str) -> CliError {
    CliError::Refused(sentence.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(status: u16, body: &Value) -> (u8, String) {
        let body = if body.is_null() { b"<html>".to_vec() } else { body.to_string().into_bytes() };
        let error = error_of(&Answer { status, etag: None, retry_after: Some("7".to_owned()), body });
        (error.code(), error.to_string())
    }

    #[test]
    fn every_problem_is_a_sentence_and_a_status() {
        let problem = |detail: &str| json!({"detail": detail, "request_id": "r-1"});
        assert_eq!(said(409, &problem("In use.")), (1, "In use.".to_owned()));
        assert_eq!(said(503, &problem("Not now.")), (3, "Not now. Try again in 7 s.".to_owned()));
        assert!(said(500, &problem("Something went wrong.")).1.contains("r-1"));
        assert!(said(401, &problem("Unknown.")).1.contains("--key-file"));
        let many = json!({"detail": "x", "request_id": "r", "errors": [
            {"pointer": "/scope", "detail": "is wrong"}, {"pointer": "", "detail": "body\nforged"}]});
        assert_eq!(said(422, &many), (1, "scope is wrong\nbody\\nforged".to_owned()));
    }

    #[test]
    fn what_does_not_come_from_grantd_is_told_apart() {
        assert!(said(302, &Value::Null).1.contains("redirect"));
        assert!(said(404, &Value::Null).1.contains("no admin API"));
        assert_eq!(said(502, &Value::Null).0, 3);
        assert_eq!(said(418, &Value::Null).0, 1);
    }
}
