//! One trace from a delivery to the call that came of it.

use serde_json::json;

use crate::world::{World, text};

#[tokio::test]
async fn the_trace_of_a_delivery_is_in_its_event_its_call_the_outcome_and_the_logs() {
    let world = World::running().await;
    let credential = world.connect("traced").await;
    let secret = world.hook(&credential, "seilbahn/website").await;
    let given = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    world.deliver_traced(&credential, br#"{"push":{"changes":[]},"traced":1}"#, &secret, given).await;

    let trace = world.trace_of_event(&credential).await;
    assert_eq!(trace.as_str(), given);
    world.logged("webhook-ingest", &trace, "Accepted").await;

    let call =
        json!({"credential": credential, "call": {"method": "GET", "path": "user"}, "traceparent": trace});
    let (_, submitted) = world.operator("POST", "calls", Some(call)).await;
    let outcome = world.result(&text(&submitted["id"])).await;
    assert_eq!(outcome.traceparent, Some(trace.clone()));
    world.logged("api-worker", &trace, "Succeeded").await;
}

#[tokio::test]
async fn a_delivery_without_a_trace_gets_one() {
    let world = World::running().await;
    let credential = world.connect("untraced").await;
    let secret = world.hook(&credential, "seilbahn/website").await;
    world.deliver_traced(&credential, br#"{"untraced":1}"#, &secret, "no context").await;
    let trace = world.trace_of_event(&credential).await;
    world.logged("webhook-ingest", &trace, "Accepted").await;
}
