import com.nimbusds.jose.JWSObject;
import com.nimbusds.jose.crypto.factories.DefaultJWSVerifierFactory;
import com.nimbusds.jose.jwk.AsymmetricJWK;
import com.nimbusds.jose.jwk.JWKSet;
import com.nimbusds.jose.util.Base64;
import com.nimbusds.jose.util.X509CertUtils;
import eu.europa.esig.dss.model.InMemoryDocument;
import eu.europa.esig.dss.simplereport.SimpleReport;
import eu.europa.esig.dss.spi.DSSUtils;
import eu.europa.esig.dss.spi.validation.CommonCertificateVerifier;
import eu.europa.esig.dss.spi.x509.CommonTrustedCertificateSource;
import eu.europa.esig.dss.validation.SignedDocumentValidator;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** One line for each document, as `KIND:TRUST:FILE`: what libraries that are not ours make of its signature.
 *
 *  x5c    signed by the certificate in its header, which leads to the authority in TRUST (DER)
 *  jwks   signed by a key of the set in TRUST
 *  jades  JAdES, signed by a certificate that leads to the authority in TRUST (DER)
 */
public class Verify {
    public static void main(String[] documents) {
        for (String document : documents) {
            String[] parts = document.split(":");
            try {
                System.out.println(judged(parts[0], Path.of(parts[1]), Path.of(parts[2])));
            } catch (Exception error) {
                System.out.println("refused: " + error);
            }
        }
    }

    private static String judged(String kind, Path trust, Path file) throws Exception {
        String text = Files.readString(file).strip().split("~")[0];
        return switch (kind) {
            case "jades" -> jades(text, trust);
            case "jwks" -> signature(text, keyOf(text, trust));
            default -> signature(text, certified(text, trust));
        };
    }

    private static String signature(String text, Key key) throws Exception {
        JWSObject jws = JWSObject.parse(text);
        var verifier = new DefaultJWSVerifierFactory().createJWSVerifier(jws.getHeader(), key);
        return jws.verify(verifier) ? "valid" : "invalid";
    }

    private static Key keyOf(String text, Path jwks) throws Exception {
        String id = JWSObject.parse(text).getHeader().getKeyID();
        return ((AsymmetricJWK) JWKSet.load(jwks.toFile()).getKeyByKeyId(id)).toPublicKey();
    }

    private static Key certified(String text, Path anchor) throws Exception {
        var factory = CertificateFactory.getInstance("X.509");
        List<X509Certificate> chain = new ArrayList<>();
        for (Base64 one : JWSObject.parse(text).getHeader().getX509CertChain()) {
            chain.add(X509CertUtils.parse(one.decode()));
        }
        var trusted = (X509Certificate) factory.generateCertificate(Files.newInputStream(anchor));
        var parameters = new PKIXParameters(Set.of(new TrustAnchor(trusted, null)));
        parameters.setRevocationEnabled(false);
        CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(chain), parameters);
        return chain.get(0).getPublicKey();
    }

    private static String jades(String text, Path anchor) throws Exception {
        var trusted = new CommonTrustedCertificateSource();
        trusted.addCertificate(DSSUtils.loadCertificate(Files.readAllBytes(anchor)));
        var verifier = new CommonCertificateVerifier();
        verifier.setTrustedCertSources(trusted);
        var document = new InMemoryDocument(text.getBytes(StandardCharsets.UTF_8));
        var validator = SignedDocumentValidator.fromDocument(document);
        validator.setCertificateVerifier(verifier);
        SimpleReport report = validator.validateDocument().getSimpleReport();
        String id = report.getFirstSignatureId();
        return report.getSignatureFormat(id) + " " + report.getIndication(id);
    }
}
