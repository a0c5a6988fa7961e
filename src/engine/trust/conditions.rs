//! Conditions on the claims of a token: plain comparisons of text; a number or a boolean is compared
//! as JSON spells it.

use crate::domain::external::ClaimValue;
use crate::domain::trust::{Condition, Operator};
use crate::engine::trust::work::{Exhausted, Work};

/// Longest value that is compared, bytes.
const MAX_VALUE: usize = 2048;

const TOO_MUCH: &str = "comparing it takes more work than one token may cost";

/// Whether the condition holds, and why, without any value of the token.
///
/// An absent claim, an object and null make it false, whatever the operator. On a list `equals`,
/// `like` and `in` hold if any item fits, `not_equals` and `not_like` if none does; a list that has
/// an item which cannot be compared fits no `not_*`. Without work left every operator is false.
pub fn judge(condition: &Condition, claim: Option<&ClaimValue>, work: &mut Work) -> (bool, &'static str) {
    work.begin();
    compared(condition, claim, work).unwrap_or((false, TOO_MUCH))
}

fn compared(
    condition: &Condition,
    claim: Option<&ClaimValue>,
    work: &mut Work,
) -> Result<(bool, &'static str), Exhausted> {
    let negative = matches!(condition.operator, Operator::NotEquals | Operator::NotLike);
    Ok(match claim {
        None => (false, "the claim is absent"),
        Some(ClaimValue::Other) => (false, "the claim is an object or null, which cannot be compared"),
        Some(ClaimValue::Text(text) | ClaimValue::Plain(text)) if text.len() > MAX_VALUE => {
            (false, "the claim is too long to be compared")
        }
        Some(ClaimValue::Text(text) | ClaimValue::Plain(text)) => match fits(condition, text, work)? != negative {
            true => (true, "the claim fits"),
            false => (false, "the claim does not fit"),
        },
        Some(ClaimValue::List(items)) => {
            work.take(items.len())?;
            if negative && items.iter().any(|item| comparable(item).is_none()) {
                return Ok((false, "the list has an item that cannot be compared"));
            }
            let mut any = false;
            for text in items.iter().filter_map(comparable) {
                any = fits(condition, text, work)?;
                if any {
                    break;
                }
            }
            match (any != negative, negative) {
                (true, true) => (true, "no item of the list is what it must not be"),
                (true, false) => (true, "an item of the list fits"),
                (false, true) => (false, "an item of the list is what it must not be"),
                (false, false) => (false, "no item of the list fits"),
            }
        }
    })
}

fn comparable(item: &ClaimValue) -> Option<&str> {
    match item {
        ClaimValue::Text(text) | ClaimValue::Plain(text) if text.len() <= MAX_VALUE => Some(text),
        _ => None,
    }
}

/// The comparison itself; a negative operator turns it round.
fn fits(condition: &Condition, text: &str, work: &mut Work) -> Result<bool, Exhausted> {
    for value in &condition.values {
        let is_it = match condition.operator {
            Operator::Equals | Operator::NotEquals | Operator::In => {
                work.take(1 + if value.len() == text.len() { text.len() / 16 } else { 0 })?;
                value == text
            }
            Operator::Like | Operator::NotLike => is_like(value, text, work)?,
        };
        if is_it {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Anchored at both ends; `*` is any text, `?` one character.
///
/// What stands between two `*` is looked for from where the one before it ended: the first place is as good
/// as any later one, so nothing is tried twice, and without `?` the search is linear.
fn is_like(pattern: &str, text: &str, work: &mut Work) -> Result<bool, Exhausted> {
    let mut parts = pattern.split('*');
    let Some(mut rest) = after_start(parts.next().unwrap_or_default(), text, work)? else { return Ok(false) };
    let Some(last) = parts.next_back() else { return Ok(rest.is_empty()) };
    for part in parts.filter(|part| !part.is_empty()) {
        let Some(found) = after_first(part, rest, work)? else { return Ok(false) };
        rest = found;
    }
    let Some(characters) = last.chars().count().checked_sub(1) else { return Ok(true) };
    work.take(characters)?;
    let Some((at, _)) = rest.char_indices().rev().nth(characters) else { return Ok(false) };
    Ok(after_start(last, rest.get(at..).unwrap_or_default(), work)?.is_some())
}

/// What follows the first place where the part, which has no `*`, fits.
fn after_first<'a>(part: &str, text: &'a str, work: &mut Work) -> Result<Option<&'a str>, Exhausted> {
    if !part.contains('?') {
        let found = text.split_once(part);
        work.take(part.len() + found.map_or(text.len(), |(before, _)| before.len()))?;
        return Ok(found.map(|(_, rest)| rest));
    }
    for (at, _) in text.char_indices() {
        let rest = after_start(part, text.get(at..).unwrap_or_default(), work)?;
        if rest.is_some() {
            return Ok(rest);
        }
    }
    Ok(None)
}

/// What follows the part, which has no `*`, if the text begins with it.
fn after_start<'a>(part: &str, text: &'a str, work: &mut Work) -> Result<Option<&'a str>, Exhausted> {
    let mut rest = text.chars();
    let mut compared = 1;
    let fits = part.chars().all(|own| {
        compared += 1;
        rest.next().is_some_and(|character| own == '?' || own == character)
    });
    work.take(compared)?;
    Ok(fits.then_some(rest.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &str) -> ClaimValue {
        ClaimValue::Text(value.to_owned())
    }

    fn holds(operator: Operator, value: &str, claim: Option<ClaimValue>) -> bool {
        let values = value.split('|').map(str::to_owned).collect();
        judge(&Condition { claim: "c".to_owned(), operator, values }, claim.as_ref(), &mut Work::default()).0
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

    /// Goes back to the last `*`: slow, and plainly right.
    fn is_like_by_going_back(pattern: &str, text: &str) -> bool {
        let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        let (mut at, mut read, mut star) = (0, 0, None);
        while read < text.len() {
            match pattern.get(at) {
                Some('*') => {
                    star = Some((at, read));
                    at += 1;
                }
                Some(own) if *own == '?' || *own == text[read] => {
                    at += 1;
                    read += 1;
                }
                _ => match star {
                    Some((star_at, from)) => {
                        star = Some((star_at, from + 1));
                        (at, read) = (star_at + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        pattern[at..].iter().all(|rest| *rest == '*')
    }

    /// Every text of up to so many of these characters.
    fn texts(characters: &[char], longest: usize) -> Vec<String> {
        let mut all = vec![String::new()];
        let mut begin = 0;
        for _ in 0..longest {
            let end = all.len();
            for at in begin..end {
                all.extend(characters.iter().map(|next| format!("{}{next}", all[at])).collect::<Vec<_>>());
            }
            begin = end;
        }
        all
    }

    #[test]
    fn every_short_pattern_fits_every_short_text_as_by_going_back() {
        let all = texts(&['a', 'é'], 6);
        for pattern in texts(&['a', 'é', '*', '?'], 5) {
            for text in &all {
                let fits = is_like(&pattern, text, &mut Work::default()).unwrap();
                assert_eq!(fits, is_like_by_going_back(&pattern, text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn what_costs_too_much_is_false_for_every_operator() {
        let claim = text(&"a".repeat(2048));
        // Linear without `?`, as they are written mostly.
        for pattern in [format!("*{}b", "a".repeat(253)), "a*".repeat(127) + "b", format!("*{}*", "a".repeat(253))] {
            let mut work = Work::default();
            let condition =
                Condition { claim: "c".to_owned(), operator: Operator::Like, values: vec![pattern.clone()] };
            for _ in 0..200 {
                let (_, why) = judge(&condition, Some(&claim), &mut work);
                assert_ne!(why, TOO_MUCH, "{pattern}");
            }
        }
        let costly = format!("*{}?b*", "a".repeat(251));
        for operator in [Operator::Like, Operator::NotLike] {
            let condition = Condition { claim: "c".to_owned(), operator, values: vec![costly.clone()] };
            assert_eq!(judge(&condition, Some(&claim), &mut Work::default()), (false, TOO_MUCH));
        }
        let items = ClaimValue::List((0..4000).map(|_| text("x")).collect());
        let values: Vec<String> = (0..100).map(|at| format!("{at}")).collect();
        let condition = Condition { claim: "c".to_owned(), operator: Operator::In, values };
        assert_eq!(judge(&condition, Some(&items), &mut Work::default()), (false, TOO_MUCH));
    }
}
