//! The port [`Table`] on DynamoDB.

mod expression;
mod item;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, PutRequest, ReturnValue, TransactWriteItem, Update, WriteRequest,
};
use expression::Words;
use item::{attributes, decode_cursor, encode_cursor, item, key_item};

use super::{Account, client};
use crate::ports::{Attributes, Cursor, Key, Page, Query, Table, TableError, Write};

/// One table, with the indexes `due`, `listing` and `recent`.
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
            Query::Recent(name) => request
                .index_name("recent")
                .scan_index_forward(false)
                .key_condition_expression("recent_of = :recent")
                .expression_attribute_values(":recent", AttributeValue::S(name.clone())),
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

    async fn add(
        &self,
        key: &Key,
        attribute: &str,
        by: i64,
        set: Attributes,
    ) -> Result<Attributes, TableError> {
        let mut words = Words::default();
        let update = words.addition(attribute, by, &set);
        let added = self
            .client
            .update_item()
            .table_name(&self.name)
            .set_key(Some(key_item(key)))
            .update_expression(update)
            .set_expression_attribute_names(words.names())
            .set_expression_attribute_values(words.values())
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(classify)?;
        attributes(added.attributes.unwrap_or_default()).map(|(_, attributes)| attributes)
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

    async fn put_all(&self, items: Vec<(Key, Attributes)>) -> Result<(), TableError> {
        let request = |(key, attributes): &(Key, Attributes)| {
            let put = PutRequest::builder().set_item(Some(item(key, attributes))).build();
            let put = put.map_err(|error| TableError::Rejected(error.into()))?;
            Ok(WriteRequest::builder().put_request(put).build())
        };
        let mut left: Vec<_> = items.iter().map(request).collect::<Result<_, TableError>>()?;
        let mut refusals = 0;
        while !left.is_empty() {
            let batch = left.split_off(left.len().saturating_sub(MOST_IN_A_BATCH));
            let asked = batch.len();
            let written = self.client.batch_write_item().request_items(&self.name, batch).send().await;
            let undone = written.map_err(classify)?.unprocessed_items.unwrap_or_default().remove(&self.name);
            let undone = undone.unwrap_or_default();
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

#[cfg(test)]
mod tests;
