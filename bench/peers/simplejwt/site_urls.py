"""Simplejwt's own views for login and refresh, and the two that everybody writes: register and me."""

import os

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.models import User
from django.urls import path
from rest_framework import generics, permissions, serializers
from rest_framework_simplejwt.views import TokenObtainPairView, TokenRefreshView


class Argon2(Argon2PasswordHasher):
    memory_cost = int(os.environ["ARGON2_MEMORY_KIB"])
    time_cost = int(os.environ["ARGON2_TIME_COST"])
    parallelism = int(os.environ["ARGON2_PARALLELISM"])


class NewUser(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "password")
        extra_kwargs = {"password": {"write_only": True}}

    def create(self, validated_data):
        return User.objects.create_user(**validated_data)


class KnownUser(serializers.ModelSerializer):
    class Meta:
        model = User
        fields = ("id", "username", "email", "is_active", "date_joined", "last_login")


class Register(generics.CreateAPIView):
    serializer_class = NewUser
    permission_classes = ()
    authentication_classes = ()


class Me(generics.RetrieveAPIView):
    serializer_class = KnownUser
    permission_classes = (permissions.IsAuthenticated,)

    def get_object(self):
        return self.request.user


urlpatterns = [
    path("register", Register.as_view()),
    path("login", TokenObtainPairView.as_view()),
    path("refresh", TokenRefreshView.as_view()),
    path("me", Me.as_view()),
]
