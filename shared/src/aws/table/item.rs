//! Items: attributes here, attribute values there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Number, Value};

use crate::ports::{Attributes, Cursor, Key, TableError};

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn key_item(key: &Key) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

pub(super) fn item(key: &Key, attributes: &Attributes) -> Item {
    let mut item = key_item(key);
    item.extend(attributes.iter().map(|(name, value)| (name.clone(), to_aws(value))));
    item
}

pub(super) fn attributes(mut item: Item) -> Result<(Key, Attributes), TableError> {
    let mut text = |name: &str| match item.remove(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        _ => Err(TableError::Unreadable(format!("{name} is not a text"))),
    };
    let key = Key { pk: text("pk")?, sk: text("sk")? };
    let attributes = item
        .into_iter()
        .map(|(name, value)| Ok((name, from_aws(value)?)))
        .collect::<Result<Attributes, TableError>>()?;
    Ok((key, attributes))
}

pub(super) fn to_aws(value: &Value) -> AttributeValue {
    match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => AttributeValue::N(number.to_string()),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(list) => AttributeValue::L(list.iter().map(to_aws).collect()),
        Value::Object(map) => {
            AttributeValue::M(map.iter().map(|(name, value)| (name.clone(), to_aws(value))).collect())
        }
    }
}

fn from_aws(value: AttributeValue) -> Result<Value, TableError> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::N(number) => Value::Number(
            number
                .parse::<Number>()
                .map_err(|_| TableError::Unreadable("a number has no form of one".to_owned()))?,
        ),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(list) => Value::Array(list.into_iter().map(from_aws).collect::<Result<_, _>>()?),
        AttributeValue::M(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| Ok((name, from_aws(value)?)))
                .collect::<Result<_, TableError>>()?,
        ),
        _ => return Err(TableError::Unreadable("an attribute has a type that is never written".to_owned())),
    })
}

/// A cursor is the key that the query stopped at, in base64 so that it fits into an address.
pub(super) fn encode_cursor(key: Item) -> Result<Cursor, TableError> {
    let values = key
        .into_iter()
        .map(|(name, value)| Ok((name, from_aws(value)?)))
        .collect::<Result<_, TableError>>()?;
    Ok(Cursor(URL_SAFE_NO_PAD.encode(Value::Object(values).to_string())))
}

pub(super) fn decode_cursor(cursor: &Cursor) -> Result<Item, TableError> {
    let unreadable = || TableError::Unreadable("the cursor is not one of this table".to_owned());
    let text = URL_SAFE_NO_PAD.decode(&cursor.0).map_err(|_| unreadable())?;
    let values: Attributes = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    Ok(values.iter().map(|(name, value)| (name.clone(), to_aws(value))).collect())
}
