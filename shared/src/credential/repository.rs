//! A repository that a credential sees.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The part of a repository that lasts. It is known by its uuid, since people rename and move it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repository {
    /// Bitbucket's name for it, with braces.
    pub uuid: String,
    /// `workspace/repository`, as its address has it now.
    pub full_name: String,
    /// What people call it.
    pub name: String,
    /// Whether only those see it who were let in.
    pub is_private: bool,
    /// The project's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The branch that is shown first; an empty repository has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_branch: Option<String>,
}

/// The fields of Bitbucket's answer that [`Repository::read`] needs, besides those of the page itself.
pub const FIELDS: &str = "next,size,values.uuid,values.full_name,values.name,values.is_private,\
                          values.project.key,values.mainbranch.name";

impl Repository {
    /// Reads one of Bitbucket's
    /// (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-repositories/>); none if it has no
    /// uuid or no address.
    pub fn read(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let full_name = text(&value["full_name"])?;
        Some(Self {
            uuid: text(&value["uuid"])?,
            name: text(&value["name"]).unwrap_or_else(|| full_name.clone()),
            full_name,
            is_private: value["is_private"].as_bool().unwrap_or(true),
            project: text(&value["project"]["key"]),
            main_branch: text(&value["mainbranch"]["name"]),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_bitbucket_left_out_is_not_made_up() {
        let read = |value| Repository::read(&value);
        let bare =
            read(json!({"uuid": "{a}", "full_name": "w/r", "mainbranch": null})).expect("a repository");
        assert_eq!((bare.name.as_str(), bare.main_branch, bare.is_private), ("w/r", None, true));
        assert_eq!(read(json!({"full_name": "w/r"})), None);
        assert_eq!(read(json!("w/r")), None);
    }
}
