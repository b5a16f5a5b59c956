// A wallet that answers one OpenID4VP request: node wallet.mjs REQUEST CREDENTIAL.json [post]
//
// The credential is {"format", "text", "key", "now_s"}: an issued SD-JWT VC, the holder's private key as a JWK, and
// what the clock says. What the request says is read, verified and answered by @openid4vc/openid4vp; only the key binding is made here.
import { X509Certificate, createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { clientAuthenticationNone, setGlobalConfig } from '@openid4vc/oauth2';
import { Openid4vpClient } from '@openid4vc/openid4vp';
import { CompactEncrypt, SignJWT, compactVerify, exportJWK, importJWK } from 'jose';

setGlobalConfig({ allowInsecureUrls: true }); // the verifier of a test answers on the loopback address
const [request, file, method] = process.argv.slice(2);
const credential = JSON.parse(readFileSync(file, 'utf8'));
const now_ms = 1000 * credential.now_s;
globalThis.Date = class extends Date {
  constructor(...given) {
    super(...(given.length ? given : [now_ms]));
  }

  static now() {
    return now_ms;
  }
};
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const sha256 = (text) => createHash('sha256').update(text).digest();
const certificateOf = (text) => new X509Certificate(Buffer.from(text, 'base64'));

const client = new Openid4vpClient({
  callbacks: {
    hash: sha256,
    generateRandom: randomBytes,
    clientAuthentication: clientAuthenticationNone({ clientId: 'wallet' }),
    getX509CertificateMetadata: () => ({ sanDnsNames: [], sanUriNames: [] }),
    verifyJwt: async (signer, { compact }) => {
      const key = certificateOf(signer.x5c[0]).publicKey;
      await compactVerify(compact, key);
      return { verified: true, signerJwk: await exportJWK(key) };
    },
    encryptJwe: async ({ publicJwk, alg, enc, apu, apv }, payload) => ({
      encryptionJwk: publicJwk,
      jwe: await new CompactEncrypt(Buffer.from(payload))
        .setProtectedHeader({ alg, enc, apu, apv, kid: publicJwk.kid })
        .encrypt(await importJWK(publicJwk, alg)),
    }),
  },
});
const wallet = {
  requestObjectSigningAlgValuesSupported: ['ES256'],
  nonce: base64url(randomBytes(16)),
  metadata: {
    vp_formats_supported: { 'dc+sd-jwt': { 'sd-jwt_alg_values': ['ES256'], 'kb-jwt_alg_values': ['ES256'] } },
    request_object_signing_alg_values_supported: ['ES256'],
  },
};
const parsed = client.parseOpenid4vpAuthorizationRequest({ authorizationRequest: request });
const { authorizationRequestPayload: payload } = await client.resolveOpenId4vpAuthorizationRequest({
  authorizationRequestPayload: parsed.params,
  responseMode: { type: 'direct_post' },
  wallet: method === 'post' ? wallet : undefined,
});
const query = payload.dcql_query.credentials.find((one) => one.format === credential.format);
const binding = await new SignJWT({
  nonce: payload.nonce,
  aud: payload.client_id,
  sd_hash: base64url(sha256(credential.text)),
})
  .setProtectedHeader({ alg: 'ES256', typ: 'kb+jwt' })
  .setIssuedAt()
  .sign(await importJWK(credential.key, 'ES256'));
const response = await client.createOpenid4vpAuthorizationResponse({
  authorizationRequestPayload: payload,
  authorizationResponsePayload: { vp_token: { [query.id]: [credential.text + binding] } },
  jarm: {
    encryption: { nonce: base64url(randomBytes(12)) },
    serverMetadata: {
      authorization_signing_alg_values_supported: [],
      authorization_encryption_alg_values_supported: ['ECDH-ES'],
      authorization_encryption_enc_values_supported: ['A128GCM', 'A256GCM'],
    },
  },
});
const { response: answer } = await client.submitOpenid4vpAuthorizationResponse({
  authorizationRequestPayload: payload,
  authorizationResponsePayload: response.authorizationResponsePayload,
  jarm: response.jarm,
});
console.log(JSON.stringify({ mode: payload.response_mode, status: answer.status, body: await answer.json() }));
