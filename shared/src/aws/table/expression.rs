//! Conditions and updates in DynamoDB's expression language.

use serde_json::{Map, Value};

use super::item::{Item, to_aws};
use crate::ports::{Attributes, Condition};

/// The placeholders of one request's expressions.
#[derive(Default)]
pub(super) struct Words {
    names: Map<String, Value>,
    values: Item,
}

impl Words {
    fn name(&mut self, name: &str) -> String {
        let word = format!("#{}", name.replace('-', "_"));
        self.names.insert(word.clone(), Value::from(name));
        word
    }

    fn value(&mut self, value: &Value) -> String {
        let word = format!(":v{}", self.values.len());
        self.values.insert(word.clone(), to_aws(value));
        word
    }

    pub(super) fn condition(&mut self, condition: &Condition) -> Option<String> {
        Some(match condition {
            Condition::Always => return None,
            Condition::Absent => "attribute_not_exists(pk)".to_owned(),
            Condition::Present => "attribute_exists(pk)".to_owned(),
            Condition::Equals(name, value) => format!("{} = {}", self.name(name), self.value(value)),
            Condition::Lacks(name) => format!("attribute_not_exists({})", self.name(name)),
            Condition::AtMost(name, most) => {
                format!("{} <= {}", self.name(name), self.value(&Value::from(*most)))
            }
            Condition::All(all) => {
                let parts: Vec<_> = all.iter().filter_map(|part| self.condition(part)).collect();
                if parts.is_empty() {
                    return None;
                }
                joined(parts, " AND ")
            }
            Condition::Any(any) if any.is_empty() => {
                "attribute_exists(pk) AND attribute_not_exists(pk)".to_owned()
            }
            Condition::Any(any) => {
                let parts: Option<Vec<_>> = any.iter().map(|part| self.condition(part)).collect();
                joined(parts?, " OR ")
            }
        })
    }

    pub(super) fn update(&mut self, set: &Attributes, remove: &[&str]) -> String {
        let mut update = String::new();
        if !set.is_empty() {
            let parts: Vec<_> = set
                .iter()
                .map(|(name, value)| format!("{} = {}", self.name(name), self.value(value)))
                .collect();
            update.push_str(&format!("SET {}", parts.join(", ")));
        }
        if !remove.is_empty() {
            let parts: Vec<_> = remove.iter().map(|name| self.name(name)).collect();
            update.push_str(&format!(" REMOVE {}", parts.join(", ")));
        }
        update
    }

    pub(super) fn addition(&mut self, attribute: &str, by: i64, set: &Attributes) -> String {
        let add = format!("ADD {} {}", self.name(attribute), self.value(&Value::from(by)));
        if set.is_empty() { add } else { format!("{add} {}", self.update(set, &[])) }
    }

    /// Says in a question what its placeholders stand for. DynamoDB refuses what is not used, and null.
    pub(super) fn define(self, question: &mut Value) {
        let Value::Object(question) = question else { return };
        question.retain(|_, value| !value.is_null());
        let defined = [("ExpressionAttributeNames", self.names), ("ExpressionAttributeValues", self.values)];
        for (field, words) in defined {
            if !words.is_empty() {
                question.insert(field.to_owned(), Value::Object(words));
            }
        }
    }
}

/// Several parts as one. DynamoDB refuses a request with two parentheses around the same part.
fn joined(parts: Vec<String>, word: &str) -> String {
    match <[String; 1]>::try_from(parts) {
        Ok([only]) => only,
        Err(parts) => format!("({})", parts.join(word)),
    }
}
