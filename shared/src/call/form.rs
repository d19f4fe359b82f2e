//! Forms as `multipart/form-data` (RFC 7578).
//!
//! Bitbucket's `POST …/src` takes a file's attributes as a parameter of its `Content-Disposition`, which
//! form encoders do not offer
//! (<https://developer.atlassian.com/cloud/bitbucket/rest/api-group-source/#api-repositories-workspace-repo-slug-src-post>).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One field of a form: a text, or a file if it has a `filename`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The field's name.
    pub name: String,
    /// Its content as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Its content in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// What makes it a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Bitbucket's `x-attributes` of a file: `executable` or `link`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attributes: Option<String>,
}

/// Why a form cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadForm {
    /// It would break out of its header.
    #[error("the name of a form field has a line break or a control character")]
    Name,
    /// There is nothing, or too much, to send.
    #[error("the form field {0:?} needs text or base64, and not both")]
    Content(String),
    /// The text is not base64.
    #[error("the form field {0:?} is not base64")]
    NotBase64(String),
    /// Bitbucket knows others only.
    #[error("the attributes of a file are executable or link")]
    Attributes,
}

/// The media type, with its boundary, and the body.
///
/// # Errors
/// If a part cannot be written down so that it is read back as it was.
pub(super) fn encode(parts: &[Part]) -> Result<(String, Vec<u8>), BadForm> {
    let contents = parts.iter().map(content).collect::<Result<Vec<_>, _>>()?;
    let boundary = boundary(&contents);
    let mut body = Vec::new();
    for (part, content) in parts.iter().zip(&contents) {
        let mut head =
            format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"", quoted(&part.name)?);
        if let Some(filename) = &part.filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)?));
        }
        match part.attributes.as_deref() {
            None => {}
            Some(known @ ("executable" | "link")) => head.push_str(&format!("; x-attributes=\"{known}\"")),
            Some(_) => return Err(BadForm::Attributes),
        }
        if part.filename.is_some() {
            head.push_str("\r\nContent-Type: application/octet-stream");
        }
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"\r\n\r\n");
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((format!("multipart/form-data; boundary={boundary}"), body))
}

fn content(part: &Part) -> Result<Vec<u8>, BadForm> {
    match (&part.text, &part.base64) {
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(text)) => STANDARD.decode(text).map_err(|_| BadForm::NotBase64(part.name.clone())),
        _ => Err(BadForm::Content(part.name.clone())),
    }
}

/// A digest of what it parts, so that it occurs in none of it and the same form is the same bytes.
fn boundary(contents: &[Vec<u8>]) -> String {
    let mut digest = Sha256::new();
    for content in contents {
        digest.update(content);
    }
    format!("bucketwheel-{}", hex::encode(digest.finalize()))
}

/// As browsers write names since the WHATWG settled it: quotation marks are percent-encoded.
fn quoted(name: &str) -> Result<String, BadForm> {
    if name.chars().any(char::is_control) {
        return Err(BadForm::Name);
    }
    Ok(name.replace('"', "%22"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(name: &str, text: &str) -> Part {
        Part { name: name.to_owned(), text: Some(text.to_owned()), ..Part::default() }
    }

    #[test]
    fn a_form_is_written_as_rfc_7578_says() {
        let script = Part {
            filename: Some("run.sh".into()),
            attributes: Some("executable".into()),
            ..text("/bin/run.sh", "#!/bin/sh\n")
        };
        let (kind, body) = encode(&[text("message", "ä"), script]).expect("a form");
        let boundary = kind.split_once("boundary=").expect("a boundary").1;
        let want = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nä\r\n\
             --{boundary}\r\nContent-Disposition: form-data; name=\"/bin/run.sh\"; filename=\"run.sh\"; \
             x-attributes=\"executable\"\r\nContent-Type: application/octet-stream\r\n\r\n#!/bin/sh\n\r\n\
             --{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body).expect("UTF-8"), want);
    }

    #[test]
    fn a_part_cannot_break_out_of_its_header() {
        assert_eq!(encode(&[text("a\r\nX-Evil: 1", "")]), Err(BadForm::Name));
        let file = Part { filename: Some("a\nb".into()), ..text("a", "") };
        assert_eq!(encode(&[file]), Err(BadForm::Name));
        let file = Part { attributes: Some("executable\"; x".into()), ..text("a", "") };
        assert_eq!(encode(&[file]), Err(BadForm::Attributes));
        let both = Part { base64: Some(String::new()), ..text("a", "") };
        assert_eq!(encode(&[both]), Err(BadForm::Content("a".into())));
    }
}
