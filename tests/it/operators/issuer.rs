//! A sign-on of the tests: an OIDC issuer that has one key and signs whatever it is asked to.

use axum::Json;
use axum::Router;
use axum::routing::get;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub(super) struct Issuer {
    pub(super) url: String,
    key: RsaKeyPair,
}

impl Issuer {
    /// Serves the discovery document and the key until the test ends.
    pub(super) async fn serve() -> Self {
        // It guards nothing outside of this test.
        let key = RsaKeyPair::from_pkcs8(include_bytes!("issuer.pk8")).expect("a key");
        let public: PublicKeyComponents<Vec<u8>> = key.public_key().into();
        let [n, e] = [public.n, public.e].map(|number| URL_SAFE_NO_PAD.encode(number));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let about = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
        let keys =
            json!({"keys": [{"kty": "RSA", "alg": "RS256", "use": "sig", "kid": "one", "n": n, "e": e}]});
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(async || Json(about)))
            .route("/keys", get(async || Json(keys)));
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { url, key }
    }

    /// A token with these claims.
    pub(super) fn token(&self, claims: &Value) -> String {
        let [head, claims] = [&json!({"alg": "RS256", "kid": "one"}), claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{head}.{claims}");
        let mut signature = vec![0; self.key.public().modulus_len()];
        let random = SystemRandom::new();
        self.key.sign(&RSA_PKCS1_SHA256, &random, signed.as_bytes(), &mut signature).expect("signed");
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// A token with these claims that nobody signed.
    pub(super) fn unsigned(claims: &Value) -> String {
        let [head, claims] =
            [&json!({"alg": "none"}), claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        format!("{head}.{claims}.")
    }

    /// A token with these claims, signed with the public key as if that were a secret.
    pub(super) fn confused(&self, claims: &Value) -> String {
        let [head, claims] = [&json!({"alg": "HS256", "kid": "one"}), claims]
            .map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let signed = format!("{head}.{claims}");
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.key.public().as_ref());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
    }
}
