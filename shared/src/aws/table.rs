//! The port [`Table`] on DynamoDB.

mod expression;
mod item;

use std::collections::HashMap;

use expression::Words;
use item::{Item, attributes, decode_cursor, encode_cursor, item, key_item};
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{self, Api, Failure};
use super::{Account, Host};
use crate::ports::{Attributes, Cursor, Edge as _, Key, Page, Query, Table, TableError, Write};

/// One table, with the indexes `due`, `listing` and `recent`.
#[derive(Debug, Clone)]
pub struct DynamoTable {
    api: Api,
    name: String,
}

/// What DynamoDB answers; what is not asked for is not there.
#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Answer {
    item: Option<Item>,
    items: Vec<Item>,
    attributes: Item,
    last_evaluated_key: Option<Item>,
    unprocessed_items: HashMap<String, Vec<Value>>,
}

impl DynamoTable {
    /// The table called `name`.
    pub fn new(account: &Account, name: String) -> Self {
        Self { api: Api::new(account, api::TABLE), name }
    }

    async fn ask(&self, operation: &str, question: &Value) -> Result<Answer, TableError> {
        self.api.ask(operation, question).await.map_err(classify)
    }

    /// The operation that does it, and what is asked: alone, or as a part of a transaction.
    fn asked(&self, write: &Write) -> (&'static str, Value) {
        let mut words = Words::default();
        let (operation, mut asked) = match write {
            Write::Put { key, attributes, condition } => {
                let condition = words.condition(condition);
                ("Put", json!({ "Item": item(key, attributes), "ConditionExpression": condition }))
            }
            Write::Update { key, set, remove, condition } => {
                let update = words.update(set, remove);
                let condition = words.condition(condition);
                let key = key_item(key);
                let asked =
                    json!({ "Key": key, "UpdateExpression": update, "ConditionExpression": condition });
                ("Update", asked)
            }
            Write::Delete { key, condition } => {
                let condition = words.condition(condition);
                ("Delete", json!({ "Key": key_item(key), "ConditionExpression": condition }))
            }
        };
        asked["TableName"] = json!(self.name);
        words.define(&mut asked);
        (operation, asked)
    }
}

impl Table for DynamoTable {
    async fn get(&self, key: &Key) -> Result<Option<Attributes>, TableError> {
        let question = json!({ "TableName": self.name, "Key": key_item(key), "ConsistentRead": true });
        let found = self.ask("GetItem", &question).await?;
        found.item.map(|item| attributes(item).map(|(_, attributes)| attributes)).transpose()
    }

    async fn query(&self, query: &Query, limit: u32, after: Option<&Cursor>) -> Result<Page, TableError> {
        let mut question = match query {
            Query::Partition { pk, prefix } => json!({
                "ConsistentRead": true,
                "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
                "ExpressionAttributeValues": {":pk": {"S": pk}, ":prefix": {"S": prefix}},
            }),
            Query::Due { shard, until } => json!({
                "IndexName": "due",
                "KeyConditionExpression": "due_shard = :shard AND due_at <= :until",
                "ExpressionAttributeValues": {":shard": {"S": shard}, ":until": {"N": until.to_string()}},
            }),
            Query::Listing(name) => json!({
                "IndexName": "listing",
                "KeyConditionExpression": "listing = :listing",
                "ExpressionAttributeValues": {":listing": {"S": name}},
            }),
            Query::Recent(name) => json!({
                "IndexName": "recent",
                "ScanIndexForward": false,
                "KeyConditionExpression": "recent_of = :recent",
                "ExpressionAttributeValues": {":recent": {"S": name}},
            }),
        };
        question["TableName"] = json!(self.name);
        question["Limit"] = json!(limit);
        if let Some(after) = after {
            question["ExclusiveStartKey"] = json!(decode_cursor(after)?);
        }
        let page = self.ask("Query", &question).await?;
        let items = page.items.into_iter().map(attributes).collect::<Result<_, _>>()?;
        let next = page.last_evaluated_key.filter(|key| !key.is_empty());
        Ok(Page { items, next: next.map(encode_cursor).transpose()? })
    }

    async fn add(
        &self,
        key: &Key,
        attribute: &str,
        by: i64,
        set: Attributes,
    ) -> Result<Attributes, TableError> {
        let mut words = Words::default();
        let update = words.addition(attribute, by, &set);
        let mut question = json!({
            "TableName": self.name, "Key": key_item(key), "UpdateExpression": update, "ReturnValues": "ALL_NEW",
        });
        words.define(&mut question);
        let added = self.ask("UpdateItem", &question).await?;
        attributes(added.attributes).map(|(_, attributes)| attributes)
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), TableError> {
        if let [write] = &*writes {
            let (operation, question) = self.asked(write);
            return self.ask(&format!("{operation}Item"), &question).await.map(drop);
        }
        let items: Vec<_> = writes
            .iter()
            .map(|write| {
                let (operation, asked) = self.asked(write);
                json!({ operation: asked })
            })
            .collect();
        // A second try with the same token is the same transaction.
        let token = hex::encode(Host.random::<16>());
        let question = json!({ "TransactItems": items, "ClientRequestToken": token });
        let written = self.api.tell("TransactWriteItems", &question).await;
        written.map_err(|failure| if is_refused(&failure) { TableError::Refused } else { classify(failure) })
    }

    async fn put_all(&self, items: Vec<(Key, Attributes)>) -> Result<(), TableError> {
        let request =
            |(key, attributes): &(Key, Attributes)| json!({"PutRequest": {"Item": item(key, attributes)}});
        let mut left: Vec<Value> = items.iter().map(request).collect();
        let mut refusals = 0;
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(MOST_IN_A_BATCH));
            let asked = batch.len();
            let question = json!({"RequestItems": {&self.name: batch}});
            let mut written = self.ask("BatchWriteItem", &question).await?;
            let undone = written.unprocessed_items.remove(&self.name).unwrap_or_default();
            refusals += u32::from(undone.len() == asked);
            if refusals > MOST_REFUSALS {
                return Err(TableError::Unavailable("the table takes no more of a batch".into()));
            }
            left.extend(undone);
        }
        Ok(())
    }
}

/// DynamoDB's limit for one batch
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>).
const MOST_IN_A_BATCH: usize = 25;
/// How often a whole batch may come back untouched.
const MOST_REFUSALS: u32 = 3;

/// A transaction is refused by a condition, or by another transaction on the same item. Only the first
/// is an answer; the second is worth another try.
fn is_refused(failure: &Failure) -> bool {
    let Failure::Refused(refusal) = failure else { return false };
    let reasons = refusal.body.get("CancellationReasons").and_then(Value::as_array);
    let mut reasons = reasons.into_iter().flatten();
    failure.code() == Some("TransactionCanceledException")
        && reasons.any(|reason| reason["Code"] == "ConditionalCheckFailed")
}

fn classify(failure: Failure) -> TableError {
    match failure.code() {
        Some("ConditionalCheckFailedException") => TableError::Refused,
        Some("ValidationException" | "AccessDeniedException" | "ResourceNotFoundException") => {
            TableError::Rejected(failure.into())
        }
        _ => TableError::Unavailable(failure.into()),
    }
}

#[cfg(test)]
mod tests;
