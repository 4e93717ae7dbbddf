// Java's own client against the proxy: `java Client.java URL KEY BODY`. By default it asks for HTTP/2
// with an Upgrade in its first request on each connection, bodies included.

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;

class Client {
    public static void main(String[] arguments) throws Exception {
        String url = arguments[0], key = arguments[1], body = arguments[2];
        for (HttpClient.Version version : HttpClient.Version.values()) {
            HttpClient client = HttpClient.newBuilder().version(version).build();
            for (int round = 0; round < 3; round++) {
                show(version, client.send(request(url + "/health").GET().build(), BodyHandlers.ofString()));
                HttpRequest.Builder post = request(url + "/v1/messages").header("x-api-key", key);
                show(version, client.send(post.POST(BodyPublishers.ofString(body)).build(), BodyHandlers.ofString()));
                HttpRequest.BodyPublisher chunks =
                    BodyPublishers.fromPublisher(BodyPublishers.ofString(body));
                post = request(url + "/v1/messages").header("x-api-key", key).expectContinue(round == 2);
                show(version, client.send(post.POST(chunks).build(), BodyHandlers.ofString()));
                HttpRequest refused = request(url + "/v1/messages").POST(BodyPublishers.ofString(body)).build();
                show(version, client.send(refused, BodyHandlers.ofString()));
            }
        }
    }

    private static HttpRequest.Builder request(String url) {
        return HttpRequest.newBuilder(URI.create(url));
    }

    private static void show(HttpClient.Version asked, HttpResponse<String> answer) {
        System.out.println(asked + " " + answer.version() + " " + answer.statusCode() + " " + answer.body().length());
    }
}
