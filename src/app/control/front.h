/* app/control/front.h - the public side: key discovery, the Noise upgrade, health and metrics. */
#pragma once

struct control;
struct httpd;

struct httpd *front_httpd(struct control *c);
