//! Items: attributes here, there attribute values with their types
//! (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html>).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Number, Value, json};

use crate::ports::{Attributes, Cursor, Key, TableError};

pub(super) type Item = Map<String, Value>;

pub(super) fn key_item(key: &Key) -> Item {
    [("pk", &key.pk), ("sk", &key.sk)]
        .map(|(name, text)| (name.to_owned(), json!({"S": text})))
        .into_iter()
        .collect()
}

pub(super) fn item(key: &Key, attributes: &Attributes) -> Item {
    let mut item = key_item(key);
    item.extend(attributes.iter().map(|(name, value)| (name.clone(), to_aws(value))));
    item
}

pub(super) fn attributes(mut item: Item) -> Result<(Key, Attributes), TableError> {
    let mut text = |name: &str| match item.remove(name).map(from_aws) {
        Some(Ok(Value::String(text))) => Ok(text),
        _ => Err(TableError::Unreadable(format!("{name} is not a text"))),
    };
    let key = Key { pk: text("pk")?, sk: text("sk")? };
    let attributes = item
        .into_iter()
        .map(|(name, value)| Ok((name, from_aws(value)?)))
        .collect::<Result<Attributes, TableError>>()?;
    Ok((key, attributes))
}

pub(super) fn to_aws(value: &Value) -> Value {
    match value {
        Value::Null => json!({"NULL": true}),
        Value::Bool(truth) => json!({"BOOL": truth}),
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::String(text) => json!({"S": text}),
        Value::Array(list) => json!({"L": list.iter().map(to_aws).collect::<Vec<_>>()}),
        Value::Object(map) => {
            json!({"M": map.iter().map(|(name, value)| (name.clone(), to_aws(value))).collect::<Item>()})
        }
    }
}

fn from_aws(value: Value) -> Result<Value, TableError> {
    let typed = match value {
        Value::Object(typed) => typed.into_iter().next(),
        _ => None,
    };
    let Some((kind, value)) = typed else {
        return Err(TableError::Unreadable("an attribute has no type".to_owned()));
    };
    Ok(match (&*kind, value) {
        ("NULL", _) => Value::Null,
        ("S" | "BOOL", value @ (Value::String(_) | Value::Bool(_))) => value,
        ("N", Value::String(number)) => Value::Number(
            number
                .parse::<Number>()
                .map_err(|_| TableError::Unreadable("a number has no form of one".to_owned()))?,
        ),
        ("L", Value::Array(list)) => Value::Array(list.into_iter().map(from_aws).collect::<Result<_, _>>()?),
        ("M", Value::Object(map)) => Value::Object(
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
