//! The query parameters `q`, `sort` and `fields`
//! (<https://developer.atlassian.com/cloud/bitbucket/rest/intro/#filtering>).

use serde_json::{Map, Value};

use crate::errors::Problem;

/// The values for which `q` holds.
pub(super) fn filtered(values: Vec<Value>, q: Option<&str>) -> Result<Vec<Value>, Problem> {
    let Some(q) = q else { return Ok(values) };
    let invalid = || Problem::bad(format!("Invalid query: {q}"));
    let mut words = tokens(q).ok_or_else(invalid)?;
    words.reverse();
    let test = any_of(&mut words).filter(|_| words.is_empty()).ok_or_else(invalid)?;
    Ok(values.into_iter().filter(|value| test.holds(value)).collect())
}

/// Sorts by a dotted field, falling with a `-` before it.
pub(super) fn sort(values: &mut [Value], by: &str) {
    let (field, falling) = by.strip_prefix('-').map_or((by, false), |field| (field, true));
    values.sort_by(|a, b| {
        let order = compare(at(a, field), at(b, field));
        if falling { order.reverse() } else { order }
    });
}

/// The parts of an answer that `fields` names: `a,b.c` only those, `-a` all but that, `+a` adds
/// nothing here, since answers are whole.
pub(super) fn selected(body: &Value, fields: &str) -> Value {
    let names: Vec<&str> = fields.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    let wanted: Vec<Vec<&str>> = names
        .iter()
        .filter(|name| !name.starts_with(['-', '+']))
        .map(|name| name.split('.').collect())
        .collect();
    let mut body = if wanted.is_empty() { body.clone() } else { kept(body, &wanted) };
    for name in names.iter().filter_map(|name| name.strip_prefix('-')) {
        removed(&mut body, &name.split('.').collect::<Vec<_>>());
    }
    body
}

fn kept(value: &Value, wanted: &[Vec<&str>]) -> Value {
    match value {
        Value::Array(items) => items.iter().map(|item| kept(item, wanted)).collect(),
        Value::Object(fields) => {
            let mut result = Map::new();
            for (name, inner) in fields {
                let deeper: Vec<Vec<&str>> = wanted
                    .iter()
                    .filter(|path| path.first().is_some_and(|first| first == name || *first == "*"))
                    .map(|path| path[1..].to_vec())
                    .collect();
                if deeper.iter().any(Vec::is_empty) {
                    result.insert(name.clone(), inner.clone());
                } else if !deeper.is_empty() {
                    result.insert(name.clone(), kept(inner, &deeper));
                }
            }
            Value::Object(result)
        }
        other => other.clone(),
    }
}

fn removed(value: &mut Value, path: &[&str]) {
    match (value, path) {
        (Value::Array(items), _) => items.iter_mut().for_each(|item| removed(item, path)),
        (Value::Object(fields), [name]) => {
            fields.remove(*name);
        }
        (Value::Object(fields), [name, rest @ ..]) => {
            if let Some(inner) = fields.get_mut(*name) {
                removed(inner, rest);
            }
        }
        _ => {}
    }
}

/// A part of a query.
#[derive(Debug, Clone, PartialEq)]
enum Token {
    Word(String),
    Text(String),
    Sign(&'static str),
}

#[derive(Debug)]
enum Test {
    All(Vec<Test>),
    Any(Vec<Test>),
    Field { path: String, sign: &'static str, value: Value },
}

const SIGNS: [&str; 10] = ["!=", "!~", ">=", "<=", "=", "~", ">", "<", "(", ")"];

fn tokens(q: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = q.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(quoted) = rest.strip_prefix('"') {
            let mut text = String::new();
            let mut letters = quoted.char_indices();
            let end = loop {
                match letters.next()? {
                    (_, '\\') => text.push(letters.next()?.1),
                    (end, '"') => break end,
                    (_, letter) => text.push(letter),
                }
            };
            tokens.push(Token::Text(text));
            rest = &quoted[end + 1..];
        } else if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else {
            let of_word = |letter: char| letter.is_alphanumeric() || "._-:+".contains(letter);
            let end = rest.find(|letter| !of_word(letter)).unwrap_or(rest.len());
            if end == 0 {
                tracing::debug!(?first, "a query has a letter that means nothing");
                return None;
            }
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
        rest = rest.trim_start();
    }
    Some(tokens)
}

fn any_of(tokens: &mut Vec<Token>) -> Option<Test> {
    Some(Test::Any(joined(tokens, "or", all_of)?))
}

fn all_of(tokens: &mut Vec<Token>) -> Option<Test> {
    Some(Test::All(joined(tokens, "and", single)?))
}

fn joined(
    tokens: &mut Vec<Token>,
    word: &str,
    part: fn(&mut Vec<Token>) -> Option<Test>,
) -> Option<Vec<Test>> {
    let mut parts = vec![part(tokens)?];
    while matches!(tokens.last(), Some(Token::Word(next)) if next.eq_ignore_ascii_case(word)) {
        tokens.pop();
        parts.push(part(tokens)?);
    }
    Some(parts)
}

fn single(tokens: &mut Vec<Token>) -> Option<Test> {
    match tokens.pop()? {
        Token::Sign("(") => {
            let inner = any_of(tokens)?;
            (tokens.pop()? == Token::Sign(")")).then_some(inner)
        }
        Token::Word(path) => {
            let Token::Sign(sign) = tokens.pop()? else { return None };
            let value = match tokens.pop()? {
                Token::Text(text) => Value::String(text),
                Token::Word(word) => serde_json::from_str(&word).unwrap_or(Value::String(word)),
                Token::Sign(_) => return None,
            };
            Some(Test::Field { path, sign, value })
        }
        _ => None,
    }
}

impl Test {
    fn holds(&self, subject: &Value) -> bool {
        match self {
            Self::All(tests) => tests.iter().all(|test| test.holds(subject)),
            Self::Any(tests) => tests.iter().any(|test| test.holds(subject)),
            Self::Field { path, sign, value } => {
                let found = at(subject, path);
                let contains = || {
                    let (Some(found), Some(part)) = (found.as_str(), value.as_str()) else { return false };
                    found.to_lowercase().contains(&part.to_lowercase())
                };
                match *sign {
                    "=" => found == value,
                    "!=" => found != value,
                    "~" => contains(),
                    "!~" => !contains(),
                    ">" => compare(found, value).is_gt(),
                    ">=" => compare(found, value).is_ge(),
                    "<" => compare(found, value).is_lt(),
                    _ => compare(found, value).is_le(),
                }
            }
        }
    }
}

/// The value at a dotted path.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(value, |value, name| value.get(name).unwrap_or(&Value::Null))
}

fn compare(a: &Value, b: &Value) -> std::cmp::Ordering {
    match (a.as_f64(), b.as_f64(), a.as_str(), b.as_str()) {
        (Some(a), Some(b), ..) => a.total_cmp(&b),
        (.., Some(a), Some(b)) => a.cmp(b),
        _ => a.to_string().cmp(&b.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_query_compares_fields_and_joins_conditions() {
        let all = vec![json!({"a": {"b": "x"}, "n": 1}), json!({"a": {"b": "Xy"}, "n": 2})];
        let count = |q: &str| filtered(all.clone(), Some(q)).map(|found| found.len());
        assert_eq!(count("a.b = \"x\""), Ok(1));
        assert_eq!(count("a.b ~ \"X\" AND n > 1"), Ok(1));
        assert_eq!(count("(n = 1 OR n=2) AND a.b != \"q\""), Ok(2));
        assert!(count("a.b =").is_err() && count("a.b = \"x").is_err() && count("n = 1 n = 2").is_err());
    }

    #[test]
    fn fields_keep_or_remove_parts() {
        let body = json!({"values": [{"a": 1, "b": {"c": 2, "d": 3}}], "size": 1});
        assert_eq!(selected(&body, "values.b.c"), json!({"values": [{"b": {"c": 2}}]}));
        assert_eq!(selected(&body, "-values.b,-size"), json!({"values": [{"a": 1}]}));
    }
}
