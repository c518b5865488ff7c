// SPDX-License-Identifier: Apache-2.0
/*
 * oci_agent_fuzz.c - what a hostile host sends to the agent of a guest: bytes, which are frames, which are requests.
 *
 * Every frame that can be read is a request that gets one answer, now or from crun, or ends the connection. The fakes
 * check what gets as far as crun. The frames of a hostile guest are read by the same function.
 */
#include "agent_request.h"
#include "fake_container.h"
#include "frame.h"
#include "fuzz.h"

#include <json-c/json.h>
#include <sys/socket.h>
#include <unistd.h>

enum { INPUT_MAX = 64 * 1024 }; /* the socket takes it at once */

static int serve(struct agent *agent, struct json_object *message, struct vpmem_error *err)
{
	int rc;

	fake_container_clear();
	rc = request_serve(agent, message, err);
	CHECK(rc == 0 || rc == -EBADMSG);
	CHECK(fake_container.nsent <= 1 && fake_container.ncalls <= 1);
	CHECK(rc || fake_container.nsent + fake_container.ncalls >= 1);
	CHECK(rc == 0 || fake_container.nsent + fake_container.ncalls == 0);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire_reader reader = { .nhead = 0 };
	struct vpmem_error err = { .text = "" };
	struct json_object *message;
	static struct agent agent;
	int pair[2], rc;

	if (len > INPUT_MAX)
		return 0;
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(write(pair[0], data, len) == (ssize_t)len);
	close(pair[0]);
	while ((rc = wire_read(&reader, pair[1], &message, &err)) > 0) {
		rc = serve(&agent, message, &err);
		json_object_put(message);
		if (rc)
			break;
	}
	CHECK(rc < 0 && err.text[0] != '\0');
	wire_reader_fini(&reader);
	fake_container_clear();
	close(pair[1]);
	return 0;
}
