//! Spans of pipelines, as OpenTelemetry writes them
//! (<https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding>).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `pipeline:span_created`: OpenTelemetry's JSON. There is neither an actor nor a repository.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct SpanCreated {
    /// By resource.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub resource_spans: Vec<ResourceSpans>,
}

/// The spans of one resource.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ResourceSpans {
    /// Whose spans these are.
    pub resource: Option<Resource>,
    /// By scope.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub scope_spans: Vec<ScopeSpans>,
}

/// What ran.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Resource {
    /// What is known of it.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub attributes: Vec<Attribute>,
}

/// The spans of one scope.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct ScopeSpans {
    /// One by one.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub spans: Vec<Span>,
}

/// A step of a pipeline's run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Span {
    /// Hexadecimal.
    pub trace_id: Option<String>,
    /// Hexadecimal.
    pub span_id: Option<String>,
    /// Hexadecimal.
    pub parent_span_id: Option<String>,
    /// What it is.
    pub name: Option<String>,
    /// Nanoseconds since 1970, as text.
    pub start_time_unix_nano: Option<String>,
    /// Nanoseconds since 1970, as text.
    pub end_time_unix_nano: Option<String>,
    /// What is known of it.
    #[serde(deserialize_with = "super::nouns::or_default")]
    pub attributes: Vec<Attribute>,
}

/// A name and a value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, rename_all = "camelCase")]
pub struct Attribute {
    /// Such as `pipeline.uuid`.
    pub key: Option<String>,
    /// `{"stringValue": …}` and its like.
    pub value: Option<Value>,
}
