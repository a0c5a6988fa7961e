//! Conditions on the claims of a token: plain comparisons of text; a number or a boolean is compared
//! as JSON spells it.

use crate::domain::external::ClaimValue;
use crate::domain::trust::{Condition, Operator};

/// Longest value that is compared, bytes: bounds the work of `like`.
const MAX_VALUE: usize = 2048;

/// Whether the condition holds, and why, without any value of the token.
///
/// An absent claim, an object and null make it false, whatever the operator. On a list `equals`,
/// `like` and `in` hold if any item fits, `not_equals` and `not_like` if none does; a list that has
/// an item which cannot be compared fits no `not_*`.
pub fn judge(condition: &Condition, claim: Option<&ClaimValue>) -> (bool, &'static str) {
    let fits = |text: &str| fits(condition, text);
    let negative = matches!(condition.operator, Operator::NotEquals | Operator::NotLike);
    match claim {
        None => (false, "the claim is absent"),
        Some(ClaimValue::Other) => (false, "the claim is an object or null, which cannot be compared"),
        Some(ClaimValue::Text(text) | ClaimValue::Plain(text)) if text.len() > MAX_VALUE => {
            (false, "the claim is too long to be compared")
        }
        Some(ClaimValue::Text(text) | ClaimValue::Plain(text)) => match fits(text) != negative {
            true => (true, "the claim fits"),
            false => (false, "the claim does not fit"),
        },
        Some(ClaimValue::List(items)) => {
            let texts: Vec<Option<&str>> = items.iter().map(comparable).collect();
            if negative && texts.iter().any(Option::is_none) {
                return (false, "the list has an item that cannot be compared");
            }
            let any = texts.into_iter().flatten().any(fits);
            match (any != negative, negative) {
                (true, true) => (true, "no item of the list is what it must not be"),
                (true, false) => (true, "an item of the list fits"),
                (false, true) => (false, "an item of the list is what it must not be"),
                (false, false) => (false, "no item of the list fits"),
            }
        }
    }
}

fn comparable(item: &ClaimValue) -> Option<&str> {
    match item {
        ClaimValue::Text(text) | ClaimValue::Plain(text) if text.len() <= MAX_VALUE => Some(text),
        _ => None,
    }
}

/// The comparison itself; a negative operator turns it round.
fn fits(condition: &Condition, text: &str) -> bool {
    match condition.operator {
        Operator::Equals | Operator::NotEquals | Operator::In => condition.values.iter().any(|value| value == text),
        Operator::Like | Operator::NotLike => condition.values.iter().any(|pattern| is_like(pattern, text)),
    }
}

/// Anchored at both ends; `*` is any text, `?` one character. Goes back to the last `*` only, so the
/// work is at most the product of both lengths.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut read) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(own) if *own == '?' || text.get(read) == Some(own) => {
                at += 1;
                read += 1;
            }
            _ => match star {
                Some((star_at, from)) => {
                    star = Some((star_at, from + 1));
                    at = star_at + 1;
                    read = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> ClaimValue {
        ClaimValue::Text(value.to_owned())
    }

    fn holds(operator: Operator, value: &str, claim: Option<ClaimValue>) -> bool {
        let values = value.split('|').map(str::to_owned).collect();
        judge(&Condition { claim: "c".to_owned(), operator, values }, claim.as_ref()).0
    }

    #[test]
    fn an_absent_claim_fails_every_operator() {
        for operator in Operator::ALL {
            assert!(!holds(operator, "x", None), "{operator:?}");
            assert!(!holds(operator, "x", Some(ClaimValue::Other)), "{operator:?}");
            assert!(!holds(operator, "*", Some(text(&"y".repeat(2049)))), "{operator:?}");
        }
    }

    #[test]
    fn text_is_compared_whole_and_with_its_case() {
        use Operator::{Equals, In, Like, NotEquals, NotLike};
        for (operator, value, claim, expected) in [
            (Equals, "a", "a", true),
            (Equals, "a", "A", false),
            (Equals, "a", "ab", false),
            (Equals, "*", "a", false),
            (NotEquals, "a", "b", true),
            (NotEquals, "a", "a", false),
            (In, "a|b", "b", true),
            (In, "a|b", "c", false),
            (In, "a*", "ab", false),
            (Like, "a*", "abc", true),
            (Like, "a*", "ba", false),
            (Like, "*", "", true),
            (Like, "", "", true),
            (Like, "", "a", false),
            (Like, "?", "é", true),
            (Like, "a?c", "abc", true),
            (Like, "a?c", "ac", false),
            (Like, "*a*b*", "xxaxxbxx", true),
            (Like, "*a*b", "ab a", false),
            (Like, "repo:acme/*:ref:refs/heads/main", "repo:acme/x:ref:refs/heads/main", true),
            (Like, "repo:acme/*:ref:refs/heads/main", "repo:acme/x:ref:refs/heads/main2", false),
            (Like, "a.c", "abc", false),
            (Like, "[ab]", "a", false),
            (NotLike, "a*", "b", true),
            (NotLike, "a*", "ab", false),
        ] {
            assert_eq!(holds(operator, value, Some(text(claim))), expected, "{operator:?} {value} {claim}");
        }
    }

    #[test]
    fn on_a_list_any_item_is_enough_and_a_negative_needs_none() {
        use Operator::{Equals, In, Like, NotEquals, NotLike};
        let list = |items: &[&str]| Some(ClaimValue::List(items.iter().map(|item| text(item)).collect()));
        assert!(holds(Equals, "b", list(&["a", "b"])) && !holds(Equals, "b", list(&["a"])));
        assert!(holds(Like, "b*", list(&["a", "bc"])) && holds(In, "x|b", list(&["a", "b"])));
        assert!(holds(NotEquals, "b", list(&["a"])) && !holds(NotEquals, "b", list(&["a", "b"])));
        assert!(holds(NotLike, "b*", list(&["a"])) && !holds(NotLike, "b*", list(&["a", "bc"])));
        assert!(!holds(Equals, "b", list(&[])) && holds(NotEquals, "b", list(&[])));
        let odd = ClaimValue::List(vec![text("a"), ClaimValue::Other]);
        assert!(holds(Equals, "a", Some(odd.clone())) && !holds(NotEquals, "b", Some(odd)));
    }

    #[test]
    fn a_pattern_of_many_stars_is_answered_at_once() {
        let pattern = format!("{}b", "a*".repeat(120));
        assert!(!holds(Operator::Like, &pattern, Some(text(&"a".repeat(2048)))));
    }
}
