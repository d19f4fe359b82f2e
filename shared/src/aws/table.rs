//! The port [`Table`] on DynamoDB.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Number, Value};

use super::{Account, client};
use crate::ports::{Attributes, Condition, Cursor, Key, Page, Query, Table, TableError, Write};

type Item = HashMap<String, AttributeValue>;

/// One table, with the indexes `due` and `listing`.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    client: Client,
    name: String,
}

impl DynamoTable {
    /// The table called `name`.
    pub fn new(account: &Account, name: String) -> Self {
        Self { client: client!(account, aws_sdk_dynamodb), name }
    }

    async fn write_one(&self, write: Write) -> Result<(), TableError> {
        match write {
            Write::Put { key, attributes, condition } => {
                let mut words = Words::default();
                let condition = words.condition(&condition);
                self.client
                    .put_item()
                    .table_name(&self.name)
                    .set_item(Some(item(&key, &attributes)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values())
                    .send()
                    .await
                    .map_err(classify)?;
            }
            Write::Update { key, set, remove, condition } => {
                let mut words = Words::default();
                let update = words.update(&set, &remove);
                let condition = words.condition(&condition);
                self.client
                    .update_item()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .update_expression(update)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values())
                    .send()
                    .await
                    .map_err(classify)?;
            }
            Write::Delete { key, condition } => {
                let mut words = Words::default();
                let condition = words.condition(&condition);
                self.client
                    .delete_item()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values())
                    .send()
                    .await
                    .map_err(classify)?;
            }
        }
        Ok(())
    }

    fn transact_item(&self, write: Write) -> Result<TransactWriteItem, TableError> {
        let rejected = |error| TableError::Rejected(Box::new(error) as Box<_>);
        let mut words = Words::default();
        let built = TransactWriteItem::builder();
        Ok(match write {
            Write::Put { key, attributes, condition } => {
                let condition = words.condition(&condition);
                let put = Put::builder()
                    .table_name(&self.name)
                    .set_item(Some(item(&key, &attributes)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values());
                built.put(put.build().map_err(rejected)?).build()
            }
            Write::Update { key, set, remove, condition } => {
                let update = words.update(&set, &remove);
                let condition = words.condition(&condition);
                let update = Update::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .update_expression(update)
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values());
                built.update(update.build().map_err(rejected)?).build()
            }
            Write::Delete { key, condition } => {
                let condition = words.condition(&condition);
                let delete = Delete::builder()
                    .table_name(&self.name)
                    .set_key(Some(key_item(&key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(words.names())
                    .set_expression_attribute_values(words.values());
                built.delete(delete.build().map_err(rejected)?).build()
            }
        })
    }
}

impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        let found = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key_item(key)))
            .consistent_read(true)
            .send()
            .await
            .map_err(classify)?;
        found.item.map(|item| attributes(item).map(|(_, attributes)| attributes)).transpose()
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        let request = self.client.query().table_name(&self.name);
        let request = match query {
            Query::Partition { pk, prefix } => request
                .consistent_read(true)
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(pk.clone()))
                .expression_attribute_values(":prefix", AttributeValue::S(prefix.clone())),
            Query::Due { shard, until } => request
                .index_name("due")
                .key_condition_expression("due_shard = :shard AND due_at <= :until")
                .expression_attribute_values(":shard", AttributeValue::S(shard.clone()))
                .expression_attribute_values(":until", AttributeValue::N(until.to_string())),
            Query::Listing(name) => request
                .index_name("listing")
                .key_condition_expression("listing = :listing")
                .expression_attribute_values(":listing", AttributeValue::S(name.clone())),
        };
        let limit = i32::try_from(limit).unwrap_or(i32::MAX);
        let start = after.map(decode_cursor).transpose()?;
        let page = request.limit(limit).set_exclusive_start_key(start).send().await.map_err(classify)?;
        let items = page.items.unwrap_or_default().into_iter().map(attributes).collect::<Result<_, _>>()?;
        Ok(Page {
            items,
            next: page.last_evaluated_key.filter(|key| !key.is_empty()).map(encode_cursor).transpose()?,
        })
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        if writes.len() == 1 {
            for write in writes {
                self.write_one(write).await?;
            }
            return Ok(());
        }
        let items = writes.into_iter().map(|write| self.transact_item(write)).collect::<Result<_, _>>()?;
        self.client.transact_write_items().set_transact_items(Some(items)).send().await.map_err(|error| {
            let failed = error.as_service_error().filter(|e| e.is_transaction_canceled_exception()).is_some();
            if failed && refused(&error) { TableError::Refused } else { classify(error) }
        })?;
        Ok(())
    }
}

type TransactError = SdkError<aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError>;

/// A transaction is refused by a condition, or by another transaction on the same item. Only the first
/// is an answer; the second is worth another try.
fn refused(error: &TransactError) -> bool {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException;
    match error.as_service_error() {
        Some(TransactionCanceledException(cancelled)) => cancelled
            .cancellation_reasons()
            .iter()
            .any(|reason| reason.code() == Some("ConditionalCheckFailed")),
        _ => false,
    }
}

fn classify<E, R>(error: SdkError<E, R>) -> TableError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let code = error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or_default();
    match code {
        "ConditionalCheckFailedException" => TableError::Refused,
        "ValidationException" | "AccessDeniedException" | "ResourceNotFoundException" => {
            TableError::Rejected(Box::new(error))
        }
        _ => TableError::Unavailable(Box::new(error)),
    }
}

/// The placeholders of one request's expressions.
#[derive(Default)]
struct Words {
    names: HashMap<String, String>,
    values: Item,
}

impl Words {
    fn name(&mut self, name: &str) -> String {
        let word = format!("#{}", name.replace('-', "_"));
        self.names.insert(word.clone(), name.to_owned());
        word
    }

    fn value(&mut self, value: &Value) -> String {
        let word = format!(":v{}", self.values.len());
        self.values.insert(word.clone(), to_aws(value));
        word
    }

    fn condition(&mut self, condition: &Condition) -> Option<String> {
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
                format!("({})", parts.join(" AND "))
            }
            Condition::Any(any) if any.is_empty() => {
                "attribute_exists(pk) AND attribute_not_exists(pk)".to_owned()
            }
            Condition::Any(any) => {
                let parts: Option<Vec<_>> = any.iter().map(|part| self.condition(part)).collect();
                format!("({})", parts?.join(" OR "))
            }
        })
    }

    fn update(&mut self, set: &Attributes, remove: &[&str]) -> String {
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

    fn names(&self) -> Option<HashMap<String, String>> {
        (!self.names.is_empty()).then(|| self.names.clone())
    }

    fn values(&self) -> Option<Item> {
        (!self.values.is_empty()).then(|| self.values.clone())
    }
}

fn key_item(key: &Key) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    HashMap::from([("pk".to_owned(), text(&key.pk)), ("sk".to_owned(), text(&key.sk))])
}

fn item(key: &Key, attributes: &Attributes) -> Item {
    let mut item = key_item(key);
    item.extend(attributes.iter().map(|(name, value)| (name.clone(), to_aws(value))));
    item
}

fn attributes(mut item: Item) -> Result<(Key, Attributes), TableError> {
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

fn to_aws(value: &Value) -> AttributeValue {
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
fn encode_cursor(key: Item) -> Result<Cursor, TableError> {
    let values = key
        .into_iter()
        .map(|(name, value)| Ok((name, from_aws(value)?)))
        .collect::<Result<_, TableError>>()?;
    Ok(Cursor(URL_SAFE_NO_PAD.encode(Value::Object(values).to_string())))
}

fn decode_cursor(cursor: &Cursor) -> Result<Item, TableError> {
    let unreadable = || TableError::Unreadable("the cursor is not one of this table".to_owned());
    let text = URL_SAFE_NO_PAD.decode(&cursor.0).map_err(|_| unreadable())?;
    let values: Attributes = serde_json::from_slice(&text).map_err(|_| unreadable())?;
    Ok(values.iter().map(|(name, value)| (name.clone(), to_aws(value))).collect())
}
